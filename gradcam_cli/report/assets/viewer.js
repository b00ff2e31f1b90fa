// The image viewer: the image, its maps over it, and marks for peak and box.

const sideBySide = () => state.mode === "side";

/** Return the opacity of the maps in percent; the default depends on the mode. */
function opacity() {
  const chosen = Number(state.opacity);
  if (state.opacity !== "" && chosen >= 0 && chosen <= 100) return String(Math.round(chosen));
  return sideBySide() ? "100" : "70";
}

function drawViewer(entry, maps) {
  const viewer = byId("viewer");
  const indices = maps.map((map) => entry.maps.indexOf(map));
  const content = JSON.stringify([state.entry, indices, state.mode, state.peak, state.box]);
  if (viewer.dataset.content !== content) {
    const hasMapImage = maps.some((map) => map.map_image);
    const onlyFigure = maps.some((map) => map.figure && !map.map_image);
    const figures = maps.map((map) => makeMapFigure(entry, map)).filter((figure) => figure !== null);
    const separate = entry.image && (!hasMapImage || sideBySide()) && !onlyFigure ? [makeImageFigure(entry)] : [];
    viewer.replaceChildren(...separate, ...figures);
    viewer.dataset.content = content;
    viewer.dataset.figures = viewer.childElementCount;
  }
  viewer.style.setProperty("--opacity", opacity() / 100);
  drawScale(maps.filter((map) => map.map_image));
}

/** Show the scale of the colors, with the maximum of a single map in units of the score. */
function drawScale(maps) {
  const scale = byId("scale");
  if (!scale) return;
  scale.hidden = !maps.length;
  const maximum = maps.length === 1 && !("t" in maps[0]) ? maps[0].raw_max : null;
  byId("scale-end").textContent = typeof maximum === "number"
    ? `${formatNumber(maximum)}, maximum of the map` : "maximum of the map";
}

function makeImageFigure(entry) {
  return make("figure", {}, makeFrame(entry, makeImage(entry.image, `Image ${entry.name}`, "image")),
    make("figcaption", {}, entry.size ? `image, ${entry.size.join(" × ")} pixels` : "image"));
}

function makeMapFigure(entry, map) {
  const text = caption(map);
  const figcaption = makeText("figcaption", text);
  if (!map.map_image) {
    if (!map.figure) return null;
    return make("figure", { class: "saved" }, makeImage(map.figure, `Figure: ${text}`, "saved-figure"), figcaption);
  }
  const image = entry.image ? makeImage(entry.image, `Image ${entry.name}`, "image") : null;
  const frame = makeFrame(entry, image, makeImage(map.map_image, `Map: ${text}`, "map"), ...makeMarks(entry, map));
  return make("figure", {}, frame, figcaption);
}

/** Return run, class, probability, method, layer with its size, model and depth of a map as one line. */
function caption(map) {
  const depth = typeof map.t === "number" ? `t = ${formatNumber(map.t)}` : null;
  const probability = typeof map.probability === "number" ? formatPercent(map.probability) : null;
  return [map.run, map.class, probability, map.method, layerOf(map), map.model, depth].filter(Boolean).join(" · ");
}

/** Return the layer of a map and its size: `block5_conv4 14x14`. */
const layerOf = (map) => [map.layer, map.cells].filter(Boolean).join(" ");

function makeImage(source, alt, kind) {
  return make("img", { src: source, alt, class: kind, decoding: "async" });
}

/** Make a frame with the aspect ratio of the input image; its images overlap. */
function makeFrame(entry, ...images) {
  const element = make("div", { class: "frame" }, ...images);
  if (entry.size) {
    element.style.setProperty("--width", entry.size[0]);
    element.style.setProperty("--height", entry.size[1]);
    element.classList.toggle("small", Math.max(...entry.size) <= smallImageSide);
  }
  return element;
}

function makeMarks(entry, map) {
  if (!entry.size) return [];
  const [width, height] = entry.size;
  const marks = [];
  if (state.box === "1" && map.box) {
    const [left, top, right, bottom] = map.box;
    marks.push(makeMark("box", left / width, top / height, (right - left) / width, (bottom - top) / height));
  }
  if (state.peak === "1" && map.peak) {
    marks.push(makeMark("peak", (map.peak[0] + 0.5) / width, (map.peak[1] + 0.5) / height));
  }
  return marks;
}

function makeMark(kind, left, top, width = null, height = null) {
  const mark = make("span", { class: kind, "aria-hidden": "true" });
  for (const [property, fraction] of Object.entries({ left, top, width, height })) {
    if (fraction !== null) mark.style[property] = `${100 * fraction}%`;
  }
  return mark;
}
