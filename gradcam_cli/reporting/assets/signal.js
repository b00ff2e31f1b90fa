// A signal as lines colored by its map.

const lineColors = 32; // of the color map
const strokes = { thinnest: 1.5, thickest: 4.5, casing: 1.5 }; // widths of values of 0 and 1, and of the edge, in pixels
const channelHeights = { 1: 240, 2: 150, 4: 110, 12: 72 }; // pixels of a channel, by the number of channels
const decodedLines = new WeakMap();

/** Return the channels of a signal: `low`, `high`, and `points`, evenly spaced; without its values, a flat line. */
function signalLines(entry) {
  const lines = () => (entry.signal ? entry.signal.channels.map(decodeLine) : [flatLine(entry)]);
  if (!decodedLines.has(entry)) decodedLines.set(entry, lines());
  return decodedLines.get(entry);
}

function decodeLine({ low, high, values }) {
  const bytes = Uint8Array.from(atob(values), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const level = (_, index) => low + (view.getUint16(2 * index, true) / 65535) * (high - low);
  return { low, high, points: Float64Array.from({ length: bytes.length / 2 }, level) };
}

const flatLine = (entry) => ({ low: 0, high: 0, points: new Float64Array(Math.min(entry.size[0], 1500)) });

/** Return the numbers of the samples of the points of a line. */
function sampleNumbers(entry) {
  const count = signalLines(entry)[0].points.length;
  return Array.from({ length: count }, (_, index) => Math.floor((index * entry.size[0]) / count));
}

const channelHeight = (count) => Object.entries(channelHeights).find(([most]) => count <= Number(most))[1];

function makeSignalFigures(entry, maps) {
  const drawn = maps.filter((map) => map.levels || map.figure);
  return drawn.map((map) => (map.levels ? makeSignalFigure(entry, map) : makeMapFigure(entry, map)));
}

function makeSignalFigure(entry, map) {
  const lines = signalLines(entry);
  const height = channelHeight(lines.length);
  const channels = `${lines.length} of ${entry.signal?.num_channels ?? 1} channels`;
  const text = `Signal ${entry.name}, ${channels}. Map: ${caption(map)}`;
  const box = { viewBox: `0 0 1000 ${height * lines.length}`, preserveAspectRatio: "none" };
  const svg = makeSvg("svg", { ...box, role: "img", "aria-label": text });
  const cursor = make("span", { class: "cursor", "aria-hidden": "true" });
  const frame = make("div", { class: "frame signal" }, ...makeSignalMarks(entry, map), cursor, svg);
  frame.style.height = `${height * lines.length}px`;
  shownMaps.set(frame, [map]);
  drawnMaps.push({ draw: (look) => drawSignal(svg, lines, decoded(map), height, look) });
  const hidden = (entry.signal?.num_channels ?? 1) - lines.length;
  const note = hidden ? [` · ${hidden} more channels are not drawn`] : [];
  return make("figure", { class: "signal" },
    make("div", { class: "lines" }, make("div", { class: "values" }, ...lines.map(makeValueLabels)), frame,
      make("div", { class: "times" }, ...makeTimes(entry))),
    make("figcaption", { dir: "auto" }, caption(map), ...note));
}

/** Make the labels at the left of a channel: its largest value, its number, and its smallest value. */
function makeValueLabels({ low, high }, index, { length }) {
  const name = length > 1 ? [make("span", {}, `ch ${index + 1}`)] : [];
  return make("div", {}, make("span", {}, formatNumber(high)), ...name, make("span", {}, formatNumber(low)));
}

/** Make the numbers below the plot: at most six round ones, of samples or, with a known rate, of seconds. */
function makeTimes(entry) {
  const step = entry.spacing[0] || 1;
  const length = entry.size[0] * step;
  const [power, unit] = [10 ** Math.floor(Math.log10(length / 5)), entry.spacing[0] ? " s" : ""];
  const distance = power * [1, 2, 5, 10].find((factor) => factor * power >= length / 5);
  return Array.from({ length: Math.floor(length / distance) + 1 }, (_, number) => {
    const label = make("span", {}, `${formatNumber(number * distance)}${unit}`);
    const fraction = (number * distance + step / 2) / length;
    label.style.left = `${100 * Math.min(fraction, 1)}%`;
    label.classList.toggle("last", fraction > 0.97);
    return label;
  });
}

function makeSignalMarks(entry, map) {
  const fraction = (place) => place / entry.size[0];
  const marks = [];
  if (state.box === "1" && map.box) {
    marks.push(makeMark("part", fraction(map.box[0]), null, fraction(map.box[1] - map.box[0])));
  }
  if (state.peak === "1" && map.peak) marks.push(makeMark("highest", fraction(map.peak[0] + 0.5)));
  return marks;
}

/** Draw the channels below each other: a gray line, over it its parts in the colors of their values of the map. */
function drawSignal(svg, signal, map, height, look) {
  svg.replaceChildren(...signal.flatMap((line, channel) => {
    const places = placesOf(line, channel * height, height);
    const strengths = places.map(([x]) => Math.min((valueAt(map, x / 1000, 0.5) ?? 0) / map.limit, 1));
    const whole = makeSvg("polyline", { points: places.map((place) => place.join()).join(" "), class: "whole" });
    return [whole, ...colorParts(places, strengths, look)];
  }));
}

/** Make the parts of a line in the colors of their strengths in 0..1, and below them dark edges. */
function colorParts(places, strengths, { colors, opacity, blend }) {
  const parts = partsByColor(places, strengths).map((path, number) => [path, number / (lineColors - 1)]);
  const drawn = parts.filter(([path]) => path).map(([path, strength]) => {
    const width = strokes.thinnest + (strokes.thickest - strokes.thinnest) * strength;
    const color = `rgb(${colors.subarray(3 * Math.round(255 * strength)).subarray(0, 3).join(" ")})`;
    const alpha = opacity * (blend === "constant" ? 1 : strength);
    const edge = { class: "casing", "stroke-width": width + strokes.casing, "stroke-opacity": alpha * strength };
    const line = { stroke: color, "stroke-width": width, "stroke-opacity": alpha };
    return [edge, line].map((look) => makeSvg("path", { d: path, ...look }));
  });
  return [...drawn.map(([edge]) => edge), ...drawn.map(([, line]) => line)];
}

/** Return the points [x, y] of a line in a part of the picture. */
function placesOf({ low, high, points }, top, height) {
  const scale = high > low ? 0.84 / (high - low) : 0;
  const y = (value) => top + height * (high > low ? 0.92 - (value - low) * scale : 0.5);
  return Array.from(points, (value, index) => [(1000 * (index + 0.5)) / points.length, Math.round(100 * y(value)) / 100]);
}

/** Return a path for each color: the parts of a line whose values have it, from middle to middle of its points. */
function partsByColor(places, strengths) {
  const parts = Array.from({ length: lineColors }, () => "");
  const middle = (first, second) => `${(first[0] + second[0]) / 2} ${(first[1] + second[1]) / 2}`;
  let last = -1;
  places.forEach((place, index) => {
    const number = Math.round(strengths[index] * (lineColors - 1));
    const [before, after] = [places[index - 1] ?? place, places[index + 1] ?? place];
    const start = number === last ? "" : `M${middle(before, place)}`;
    parts[number] += `${start}L${place.join(" ")}L${middle(place, after)}`;
    last = number;
  });
  return parts;
}

/** Return the text of a sample for the slider: its place, its value in each channel, and its value of the map. */
function sampleText(entry, maps, number) {
  const x = (number + 0.5) / entry.size[0];
  const values = signalValues(entry, x);
  const name = values.length > 1 ? "values" : "value";
  return `${stopText(entry, number)}: ${name} ${values.join(", ")} · ${mapValuesAt(maps, x)}`;
}

/** Return the text of a point of the plot: the sample, the value of the channel, and the value of the map. */
function signalText(entry, maps, x, y) {
  const values = signalValues(entry, x);
  const channel = Math.floor(y * values.length);
  const name = values.length > 1 ? `channel ${channel + 1} ` : "value ";
  return `${stopText(entry, Math.floor(x * entry.size[0]))}: ${name}${values[channel]} · ${mapValuesAt(maps, x)}`;
}

function signalValues(entry, x) {
  const at = ({ points }) => points[Math.min(Math.floor(x * points.length), points.length - 1)];
  return signalLines(entry).map((line) => formatNumber(at(line)));
}

function mapValuesAt(maps, x) {
  const numbered = maps.filter((map) => map.levels);
  const text = (map) => ["map", map.run, valueText(map, valueAt(decoded(map), x, 0.5))].filter(Boolean).join(" ");
  return numbered.map(text).join(" · ");
}
