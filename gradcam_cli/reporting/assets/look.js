// How the page draws maps: color map, opacity by value, contour lines, and the value under the pointer.

const canvasSide = 512; // longer side of a drawn map in pixels; the browser scales it
const scaleSteps = 48;
const lineLevels = { "": [], half: [0.5], quarters: [0.25, 0.5, 0.75] }; // fractions of the last color's value
const decodedMaps = new WeakMap();
const colorTables = new Map();
const shownMaps = new WeakMap(); // the maps in a frame of the viewer
let drawnMaps = []; // { draw }: draws a map of the viewer with a look

function prepareLook() {
  byId("cmap").replaceChildren(...Object.keys(report.colormaps).map((name) => make("option", { value: name }, name)));
  for (const id of ["cmap", "lines"]) byId(id).addEventListener("change", () => go({ [id]: byId(id).value }));
  byId("blend").addEventListener("change", () => go({ blend: byId("blend").checked ? "opacity" : "constant" }));
  for (const type of ["pointermove", "pointerdown"]) byId("viewer").addEventListener(type, readValue);
  byId("viewer").addEventListener("pointerleave", showNoValue);
}

const hasLook = () => state.cmap !== report.cmap || state.blend !== report.blend || state.lines !== "";

/** Return whether a map is drawn from its numbers; if these are coarser than its picture, only for another look. */
const isDrawn = (map) => Boolean(map.levels) && (map.levels.exact || hasLook() || !map.map_image);

function decoded(map) {
  if (!decodedMaps.has(map)) decodedMaps.set(map, decodeMap(map.levels));
  return decodedMaps.get(map);
}

function colorTable() {
  if (!colorTables.has(state.cmap)) {
    const bytes = atob(report.colormaps[state.cmap]);
    colorTables.set(state.cmap, Uint8Array.from(bytes, (character) => character.charCodeAt(0)));
  }
  return colorTables.get(state.cmap);
}

/** Return the map of the picture in the viewer: all of it, or that of one slice. */
const shownMap = (map) => (isScrolled(currentEntry()) ? sliceMap(decoded(map), ...slicePosition()) : decoded(map));

function makeMapCanvas(entry, map, alt, kind) {
  const [width, height] = pictureSides(entry) ?? [map.levels.width, map.levels.height];
  const factor = canvasSide / Math.max(width, height);
  const canvas = make("canvas", { role: "img", "aria-label": alt, class: `${kind} drawn` });
  canvas.width = Math.max(Math.round(width * factor), 1);
  canvas.height = Math.max(Math.round(height * factor), 1);
  drawnMaps.push({ draw: (look) => drawMap(canvas, shownMap(map), look) });
  return canvas;
}

function redrawMaps() {
  const look = {
    colors: colorTable(), opacity: opacity() / 100, blend: state.blend, contours: lineLevels[state.lines],
  };
  for (const each of drawnMaps) each.draw(look);
}

function drawLookControls(maps) {
  const numbered = maps.some((map) => map.levels);
  for (const id of ["cmap", "blend", "lines"]) byId(id).parentElement.hidden = !numbered;
  byId("lines").parentElement.hidden ||= isSignal(currentEntry());
  byId("look").hidden = !numbered && byId("peak").parentElement.hidden && byId("box").parentElement.hidden;
  byId("cmap").value = state.cmap;
  byId("lines").value = state.lines;
  byId("blend").checked = state.blend === "opacity";
}

/** Show the scale of the colors, with the maximum of a single map in units of the score. */
function drawScale(maps) {
  byId("scale").hidden = !maps.length;
  const maximum = maps.length === 1 ? maximumOf(maps[0]) : null;
  byId("scale-end").textContent = typeof maximum === "number"
    ? `${formatNumber(maximum)}, maximum of the map` : "maximum of the map";
  const svg = byId("scale").querySelector("svg");
  const key = `${state.cmap} ${state.blend}`;
  if (svg.dataset.colors === key) return;
  svg.dataset.colors = key;
  svg.replaceChildren(...Array.from({ length: scaleSteps }, (_, step) => {
    const fraction = step / (scaleSteps - 1);
    const color = colorTable().subarray(3 * Math.round(255 * fraction)).subarray(0, 3).join(" ");
    return makeSvg("rect", { x: step, width: 1, height: 1, fill: `rgb(${color})`,
      "fill-opacity": state.blend === "constant" ? 1 : fraction });
  }));
}

/** Return the largest value of a map in units of its score, or null where maps share a scale. */
const maximumOf = (map) => (typeof map.raw_max === "number" && !("t" in map) ? map.raw_max : null);

/** Show the values of the maps under the pointer. */
function readValue(event) {
  const frame = event.target.closest(".frame");
  const maps = (shownMaps.get(frame) ?? []).filter((map) => map.levels);
  if (!maps.length) return showNoValue();
  const area = frame.getBoundingClientRect();
  const inside = (position) => Math.min(Math.max(position, 0), 0.9999);
  const x = inside((event.clientX - area.left) / area.width);
  const y = inside((event.clientY - area.top) / area.height);
  const entry = currentEntry();
  byId("value").textContent = isSignal(entry) ? signalText(entry, maps, x, y) : pictureText(maps, x, y);
}

/** Return the place of a point of a picture, in pixels of the input, and the values of the maps there. */
function pictureText(maps, x, y) {
  const texts = maps.map((map) => [maps.length > 1 ? map.run : "", valueText(map, valueAt(shownMap(map), x, y))]);
  const [first, second] = pictureAxes(currentEntry());
  const place = `${first.name} ${Math.floor(x * first.length)}, ${second.name} ${Math.floor(y * second.length)}`;
  return `${place}: ${texts.map((each) => each.join(" ").trim()).join(" · ")}`;
}

function showNoValue() {
  const numbered = currentEntry() && viewerMaps().some((map) => map.levels);
  byId("value").textContent = numbered ? "Point at the map to read its values." : "";
}

/** Return a value as a percentage of the maximum and, if the maximum is known, in units of the score. */
function valueText(map, value) {
  if (value === null) return "outside the model input";
  const { limit, top = limit, exact } = map.levels;
  const clipped = limit < 1 && value >= limit * (1 - 0.5 / 255);
  const sign = clipped ? "at least " : exact ? "" : "about ";
  const percent = `${(100 * value).toFixed(1)} % of the maximum`;
  const maximum = maximumOf(map);
  if (maximum === null) return `${sign}${percent}`;
  const digits = Math.max(0, Math.min(6, 2 - Math.floor(Math.log10(Math.abs(maximum * top) || 1))));
  return `${sign}${(value * maximum).toFixed(digits)} (${percent})`;
}
