// The image viewer: the image, its maps over it, and marks for peak and box.

let drawnMarks = []; // { mark, first, last }: the slices that a mark lies in
const sideBySide = () => state.mode === "side";

/** Return whether the maps before and after share one frame with a divider. */
const swiping = (maps) => state.mode === "swipe" && maps.length === 2
  && maps.every((map) => map.map_image || map.levels);

function prepareSwipe() {
  const viewer = byId("viewer");
  const follow = (event) => {
    const frame = event.target.closest(".frame.swipe");
    if (!frame || !(event.buttons & 1)) return;
    const area = frame.getBoundingClientRect();
    const percent = Math.round((100 * (event.clientX - area.left)) / area.width);
    go({ divider: String(Math.min(Math.max(percent, 0), 100)) }, "divider");
  };
  viewer.addEventListener("pointerdown", follow);
  viewer.addEventListener("pointermove", follow);
  byId("divider").addEventListener("input", () => go({ divider: byId("divider").value }, "divider"));
}

/** Return the opacity of the maps in percent; the default depends on the mode. */
function opacity() {
  const chosen = Number(state.opacity);
  if (state.opacity !== "" && chosen >= 0 && chosen <= 100) return String(Math.round(chosen));
  return sideBySide() ? "100" : "70";
}

function drawViewer(entry, maps) {
  const viewer = byId("viewer");
  const indices = maps.map((map) => entry.maps.indexOf(map));
  const looks = [state.mode, state.peak, state.box, state.cmap, state.blend, state.lines, state.axis];
  const content = JSON.stringify([state.entry, indices, looks]);
  if (viewer.dataset.content !== content) {
    [drawnMaps, drawnMarks] = [[], []];
    viewer.replaceChildren(...makeFigures(entry, maps));
    viewer.dataset.content = content;
    viewer.dataset.figures = viewer.childElementCount;
    viewer.dataset.opacity = "";
    showNoValue();
  }
  if (viewer.dataset.opacity !== opacity()) redrawMaps();
  viewer.dataset.opacity = opacity();
  viewer.style.setProperty("--opacity", opacity() / 100);
  viewer.style.setProperty("--divider", `${dividerPercent()}%`);
  drawScroll(entry, maps);
  drawScale(maps.filter((map) => map.map_image || map.levels));
}

const dividerPercent = () => Math.min(Math.max(Number(state.divider) || 0, 0), 100);

function makeFigures(entry, maps) {
  if (isSignal(entry)) return makeSignalFigures(entry, maps);
  if (swiping(maps)) return [makeSwipeFigure(entry, maps)];
  const hasMapImage = maps.some((map) => map.map_image || map.levels);
  const onlyFigure = maps.some((map) => map.figure && !map.map_image && !map.levels);
  const figures = maps.map((map) => makeMapFigure(entry, map)).filter((figure) => figure !== null);
  const separate = hasPicture(entry) && (!hasMapImage || sideBySide()) && !onlyFigure ? [makeImageFigure(entry)] : [];
  return [...separate, ...figures];
}

/** Make the figure of two maps over one image: that before on the left of the divider, that after on the right. */
function makeSwipeFigure(entry, maps) {
  const image = makePicture(entry);
  const layers = maps.map((map) => makeMap(entry, map, `map ${map.run}`));
  const names = maps.map((map) => make("span", { class: `run-name ${map.run}`, "aria-hidden": "true" }, map.run));
  const divider = make("span", { class: "divider", "aria-hidden": "true" });
  const frame = makeFrame(entry, image, ...layers, divider, ...names);
  frame.classList.add("swipe");
  shownMaps.set(frame, maps);
  return make("figure", {}, frame, make("figcaption", {}, ...maps.map((map) => makeText("div", caption(map)))));
}

function makeImageFigure(entry) {
  const unit = { volume: "voxels", film: "pixels and frames" }[entry.kind] ?? "pixels";
  const size = entry.size ? `, ${entry.size.join(" × ")} ${unit}` : "";
  return make("figure", {}, makeFrame(entry, makePicture(entry)), make("figcaption", {}, `${entry.kind ?? "image"}${size}`));
}

function makeMapFigure(entry, map) {
  const text = caption(map);
  const figcaption = makeText("figcaption", text);
  if (!map.map_image && !map.levels) {
    if (!map.figure) return null;
    return make("figure", { class: "saved" }, makeImage(map.figure, `Figure: ${text}`, "saved-figure"), figcaption);
  }
  const frame = makeFrame(entry, makePicture(entry), makeMap(entry, map, "map"), ...makeMarks(entry, map));
  shownMaps.set(frame, [map]);
  return make("figure", {}, frame, figcaption);
}

/** Return whether there are pixels of the input: an image, or slices. */
const hasPicture = (entry) => Boolean(entry.image || currentSheet(entry)?.path);

/** Make the picture of an input: the image, or all slices of which the frame shows one; null if it is missing. */
function makePicture(entry) {
  const sheet = currentSheet(entry);
  if (sheet?.path) return makeImage(sheet.path, `${sheet.unit} ${entry.name}`, "image sheet");
  return entry.image ? makeImage(entry.image, `Image ${entry.name}`, "image") : null;
}

/** Return run, class, probability, method, layer with its size, model and depth of a map as one line. */
function caption(map) {
  const depth = typeof map.t === "number" ? `t = ${formatNumber(map.t)}` : null;
  const probability = typeof map.probability === "number" ? formatPercent(map.probability) : null;
  return [map.run, map.class, probability, map.method, layerOf(map), map.model, depth].filter(Boolean).join(" · ");
}

/** Return the layer of a map and its size: `block5_conv4 14x14`. */
const layerOf = (map) => [map.layer, map.cells].filter(Boolean).join(" ");

/** Make a map, drawn from its numbers or the picture of the run. */
function makeMap(entry, map, kind) {
  const alt = `Map: ${caption(map)}`;
  return isDrawn(map) ? makeMapCanvas(entry, map, alt, kind) : makeImage(map.map_image, alt, kind);
}

function makeImage(source, alt, kind) {
  return make("img", { src: source, alt, class: kind, decoding: "async" });
}

/** Make a frame with the aspect ratio of the input image; its images overlap. */
function makeFrame(entry, ...images) {
  const element = make("div", { class: "frame" }, ...images.filter((image) => image !== null));
  if (entry.size) {
    const [width, height] = pictureSides(entry);
    element.style.setProperty("--width", width);
    element.style.setProperty("--height", height);
    element.classList.toggle("small", !isScrolled(entry) && Math.max(...entry.size) <= smallImageSide);
    element.classList.toggle("scrolled", isScrolled(entry));
  }
  return element;
}

/** Make the marks of a map. Those of a volume or a film are shown in the slices that they lie in. */
function makeMarks(entry, map) {
  if (!entry.size) return [];
  const rank = entry.size.length;
  const axes = pictureAxes(entry);
  const through = isScrolled(entry) ? 2 - currentSheet(entry).axis : null; // its place in a position [x, y, z]
  const rectangle = (kind, box) => {
    const edges = ({ index, length }) => [box[index] / length, box[index + rank] / length];
    const [[left, right], [top, bottom]] = axes.map(edges);
    const mark = makeMark(kind, left, top, right - left, bottom - top);
    if (through !== null) drawnMarks.push({ mark, first: box[through], last: box[through + rank] - 1 });
    return mark;
  };
  const marks = [];
  if (map.detection) marks.push(rectangle("detection", map.detection));
  if (state.box === "1" && map.box) marks.push(rectangle("box", map.box));
  if (state.peak === "1" && map.peak) {
    const mark = makeMark("peak", ...axes.map(({ index, length }) => (map.peak[index] + 0.5) / length));
    if (through !== null) drawnMarks.push({ mark, first: map.peak[through], last: map.peak[through] });
    marks.push(mark);
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
