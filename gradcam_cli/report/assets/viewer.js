// The image viewer: the image, its maps over it, and marks for peak and box.

const modes = { overlay: "Overlay", side: "Side by side", all: "All maps" };
const sideBySide = () => state.mode === "side";

/** Return the opacity of the maps in percent; the default depends on the mode. */
function opacity() {
  const chosen = Number(state.opacity);
  if (state.opacity !== "" && chosen >= 0 && chosen <= 100) return String(Math.round(chosen));
  return sideBySide() ? "100" : "60";
}

/** Show the current maps, or all maps of the entry. */
function drawViewer(entry, currentMaps) {
  const viewer = byId("viewer");
  const maps = state.mode === "all" ? entry.maps : currentMaps;
  const indices = maps.map((map) => entry.maps.indexOf(map));
  const content = JSON.stringify([state.entry, indices, state.mode, state.peak, state.box]);
  if (viewer.dataset.content !== content) {
    const hasMapImage = maps.some((map) => map.map_image);
    const onlyFigure = maps.some((map) => map.figure && !map.map_image);
    const figures = maps.map((map) => makeMapFigure(entry, map)).filter((figure) => figure !== null);
    viewer.classList.toggle("all", state.mode === "all");
    const separate = entry.image && (!hasMapImage || sideBySide()) && !onlyFigure ? [makeImageFigure(entry)] : [];
    viewer.replaceChildren(...separate, ...figures);
    viewer.dataset.content = content;
    viewer.dataset.figures = viewer.childElementCount;
    byId("scale").replaceChildren(...(hasMapImage ? makeScale(maps[0]) : []));
  }
  viewer.style.setProperty("--opacity", opacity() / 100);
}

function makeImageFigure(entry) {
  return make("figure", {}, makeFrame(entry, makeImage(entry.image, `Image ${entry.name}`, "image")),
    make("figcaption", {}, entry.size ? `image, ${entry.size.join(" × ")} pixels` : "image"));
}

function makeMapFigure(entry, map) {
  const text = caption(map);
  const figcaption = state.mode === "all" ? makeMapLink(entry, map, text) : makeText("figcaption", text);
  if (!map.map_image) {
    if (!map.figure) return null;
    return make("figure", { class: "saved" }, makeImage(map.figure, `Figure: ${text}`, "saved-figure"), figcaption);
  }
  const image = entry.image ? makeImage(entry.image, `Image ${entry.name}`, "image") : null;
  const frame = makeFrame(entry, image, makeImage(map.map_image, `Map: ${text}`, "map"), ...makeMarks(entry, map));
  return make("figure", {}, frame, figcaption);
}

function makeMapLink(entry, map, text) {
  const target = link({ map: String(entry.maps.indexOf(map) + 1), mode: "overlay" });
  return make("figcaption", {}, makeText("a", text, { href: target }));
}

/** Return run, class, probability, method, layer and depth of a map as one line. */
function caption(map) {
  const probability = typeof map.probability === "number" ? ` ${formatPercent(map.probability)}` : "";
  const depth = typeof map.t === "number" ? `t = ${formatNumber(map.t)}` : null;
  return [map.run, `${map.class}${probability}`, map.method, map.layer, depth].filter(Boolean).join(" · ");
}

function makeImage(source, alt, kind) {
  return make("img", { src: source, alt, class: kind });
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

/** Return the nodes of a color scale: the colors of a map from its lowest to its highest value. */
function makeScale(map) {
  const colors = report.color_scales?.[map?.cmap];
  if (!colors) return [];
  const bar = make("span", { class: "scale-bar", role: "img", "aria-label": `Colors of the map, colormap ${map.cmap}` });
  bar.style.background = `linear-gradient(to right, ${colors.join(", ")})`;
  return [make("span", {}, "low"), bar, make("span", {}, "high (the map’s maximum)")];
}
