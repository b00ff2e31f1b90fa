// The pictures of the photo shown: the photo, its maps laid over it, and the marks.

const sideBySide = () => state.mode === "side";

/** Return the map's opacity in percent; side by side, the map stands alone until the slider is moved. */
function opacity() {
  const chosen = Number(state.opacity);
  if (state.opacity !== "" && chosen >= 0 && chosen <= 100) return String(Math.round(chosen));
  return sideBySide() ? "100" : "60";
}

function drawStage(entry, maps) {
  const stage = byId("stage");
  const places = maps.map((map) => entry.maps.indexOf(map));
  const wanted = JSON.stringify([state.entry, places, state.mode, state.peak, state.box]);
  if (stage.dataset.shown !== wanted) {
    const laid = maps.some((map) => map.picture);
    const photo = entry.photo && (!laid || sideBySide()) && !maps.some((map) => map.drawn && !map.picture);
    const figures = maps.map((map) => makeFigure(entry, map)).filter((figure) => figure !== null);
    const alone = photo ? [makePhoto(entry)] : [];
    stage.replaceChildren(...alone, ...figures);
    stage.dataset.shown = wanted;
    stage.dataset.figures = stage.childElementCount;
  }
  stage.style.setProperty("--opacity", opacity() / 100);
}

function makePhoto(entry) {
  return make("figure", {}, frame(entry, makePicture(entry.photo, `Photo ${entry.name}`, "photo")),
    make("figcaption", {}, entry.size ? `photo, ${entry.size.join(" × ")} pixels` : "photo"));
}

function makeFigure(entry, map) {
  const words = caption(map);
  const below = makeText("figcaption", words);
  if (!map.picture) {
    if (!map.drawn) return null;
    return make("figure", { class: "drawn" }, makePicture(map.drawn, `${words}, drawn`, "drawn"), below);
  }
  const photo = entry.photo ? makePicture(entry.photo, `Photo ${entry.name}`, "photo") : null;
  const picture = frame(entry, photo, makePicture(map.picture, `Map: ${words}`, "map"), ...makeMarks(entry, map));
  return make("figure", {}, picture, below);
}

/** Say which map it is. */
function caption(map) {
  const depth = typeof map.t === "number" ? `t = ${showNumber(map.t)}` : null;
  return [map.run, map.class, map.method, map.layer, depth].filter(Boolean).join(" · ");
}

function makePicture(source, alt, kind) {
  return make("img", { src: source, alt, class: kind, decoding: "async" });
}

/** Lay pictures over each other in a frame of the photo's proportions. */
function frame(entry, ...pictures) {
  const element = make("div", { class: "frame" }, ...pictures);
  if (entry.size) {
    element.style.setProperty("--width", entry.size[0]);
    element.style.setProperty("--height", entry.size[1]);
    element.classList.toggle("small", Math.max(...entry.size) <= smallPhoto);
  }
  return element;
}

function makeMarks(entry, map) {
  if (!entry.size) return [];
  const [width, height] = entry.size;
  const marks = [];
  if (state.box === "1" && map.box) {
    const [left, top, right, bottom] = map.box;
    marks.push(place("box", left / width, top / height, (right - left) / width, (bottom - top) / height));
  }
  if (state.peak === "1" && map.peak) {
    marks.push(place("peak", (map.peak[0] + 0.5) / width, (map.peak[1] + 0.5) / height));
  }
  return marks;
}

function place(kind, left, top, width = null, height = null) {
  const mark = make("span", { class: kind, "aria-hidden": "true" });
  const share = { left, top, width, height };
  for (const [side, value] of Object.entries(share)) {
    if (value !== null) mark.style[side] = `${100 * value}%`;
  }
  return mark;
}
