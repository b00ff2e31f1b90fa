// The plots of the summary: values of images as points that open them, and curves.

const plotArea = { row: 46, label: 17, points: 22, axis: 24, curves: 220, left: 44, right: 14, top: 10, maxWidth: 760 };
const numSeries = 6; // colors of the style sheet
const goldenRatio = 0.618034; // spreads points within their row

/** Draw all plots at the width of the page. */
function drawPlots() {
  const target = byId("plots");
  target.closest("section").hidden = !report.plots.length;
  const width = Math.min(Math.max(target.clientWidth, 240), plotArea.maxWidth);
  if (!report.plots.length || target.dataset.width === String(width)) return;
  target.dataset.width = width;
  target.replaceChildren(...report.plots.map((plot) => makePlot(plot, width)));
}

function makePlot(plot, width) {
  const head = make("h4", {}, makeText("span", plot.words), " ", makeText("code", plot.title),
    make("small", {}, ` (${plot.direction}${plot.ticks || plot.title === "drift" ? "" : " is better"})`));
  const parts = [head];
  if (plot.lines.length) parts.push(drawLines(plot, width), makeLegend(plot));
  if (plot.rows.length) parts.push(drawRows(plot, width), make("p", { class: "hint" }, pointsText(plot)));
  return make("figure", { class: "plot" }, ...parts);
}

function pointsText({ rows, unit }) {
  const thinned = rows.some((row) => row.total > row.points.length);
  return `A point is ${unit === "image" ? "an image" : `a ${unit}`} and opens it; the line is the mean.${
    thinned ? ` Of many ${unit}s, the extremes and some between them are drawn.` : ""}`;
}

/** Return round numbers that divide a range into about `count` parts. */
function ticksOf(low, high, count) {
  const raw = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= raw);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}

const seriesClass = (item, index) => (item.baseline ? "series baseline" : `series series-${index % numSeries}`);

/** Draw a row for each map, with a point per image. */
function drawRows(plot, width) {
  const values = plot.rows.flatMap((row) => row.points.map(([value]) => value));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const padding = (high - low || Math.abs(high) || 1) * 0.04;
  const [start, end] = [low - padding, high + padding];
  const x = (value) => 6 + ((value - start) / (end - start)) * (width - 12);
  const height = plot.rows.length * plotArea.row + plotArea.axis;
  const svg = makeSvg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group",
    "aria-label": `${plot.words}: points of ${plot.rows.map((row) => row.label).join(", ")}` });
  for (const tick of ticksOf(start, end, width / 110)) {
    svg.append(makeSvg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 0, y2: height - plotArea.axis }),
      makeSvg("text", { x: x(tick), y: height - 6, "text-anchor": "middle" }, formatNumber(tick)));
  }
  plot.rows.forEach((row, index) => svg.append(drawRow(plot, row, index, x, width)));
  return svg;
}

function drawRow(plot, row, index, x, width) {
  const top = index * plotArea.row;
  const group = makeSvg("g", { class: seriesClass(row, index) });
  group.append(makeSvg("text", { x: 6, y: top + 13 }, cutMiddle(row.label, Math.floor(width / 9))),
    makeSvg("text", { x: width - 6, y: top + 13, "text-anchor": "end" }, `mean ${formatNumber(row.mean)}`));
  const middle = top + plotArea.label + plotArea.points / 2;
  row.points.forEach((point, i) => {
    const y = middle + (((i * goldenRatio) % 1) - 0.5) * (plotArea.points - 8);
    group.append(makePoint(plot, row, point, x(point[0]), y, i === 0 || i === row.points.length - 1));
  });
  group.append(makeSvg("line", { class: "mean", x1: x(row.mean), x2: x(row.mean),
    y1: top + plotArea.label, y2: top + plotArea.label + plotArea.points }));
  return group;
}

/** Make a point that opens its image; the tab key reaches the first and the last of a row. */
function makePoint(plot, row, [value, number], cx, cy, reachable) {
  const circle = makeSvg("circle", { cx, cy, r: 3.5 });
  const entry = report.entries[number - 1];
  if (!entry) return circle;
  const map = entry.maps.findIndex(({ metrics }) => Number(metrics?.[plot.title]?.toPrecision(4)) === value) + 1;
  const text = `${entry.name}: ${formatNumber(value)}, ${row.label}`;
  const anchor = makeSvg("a", { href: link({ view: "", entry: String(number), map: String(map || 1) }),
    "aria-label": text, tabindex: reachable ? 0 : -1 });
  circle.append(makeSvg("title", {}, text));
  anchor.append(circle);
  return anchor;
}

/** Draw curves over 0..1, or over named steps. */
function drawLines(plot, width) {
  const { left, right, top, curves } = plotArea;
  const names = plot.ticks?.map((name) => cutMiddle(name, 18));
  const bottom = names ? 12 + 6 * Math.max(...names.map((name) => name.length)) : 42;
  const height = top + curves + bottom;
  const values = plot.lines.flatMap((line) => line.values);
  const [low, high] = [Math.min(0, ...values), Math.max(...values, names ? 1 : 0) || 1];
  const x = (fraction) => left + fraction * (width - left - right);
  const y = (value) => top + (1 - (value - low) / (high - low)) * curves;
  const text = plot.lines.map((line) => `${line.label} from ${formatNumber(line.values[0])} to ${
    formatNumber(line.values.at(-1))}`).join("; ");
  const svg = makeSvg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
    "aria-label": `${plot.words}: ${text}` });
  for (const tick of ticksOf(low, high, 5)) {
    svg.append(makeSvg("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
      makeSvg("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, formatNumber(tick)));
  }
  const places = names ?? [0, 0.25, 0.5, 0.75, 1];
  places.forEach((place, i) => {
    const at = x(names ? i / (names.length - 1 || 1) : place);
    const turned = names ? { "text-anchor": "end", transform: `rotate(-60 ${at} ${top + curves + 14})` } : {};
    svg.append(makeSvg("text", { x: at, y: top + curves + 16, "text-anchor": "middle", ...turned }, String(place)));
  });
  plot.lines.forEach((line, index) => {
    const points = line.values.map((value, i) => `${x(i / (line.values.length - 1 || 1))},${y(value)}`);
    svg.append(makeSvg("polyline", { class: seriesClass(line, index), points: points.join(" ") }));
  });
  svg.append(makeSvg("text", { x: (left + width) / 2, y: height - 4, "text-anchor": "middle" }, plot.axes[0]));
  return svg;
}

function makeLegend(plot) {
  const items = plot.lines.map((line, index) => {
    const swatch = makeSvg("svg", { viewBox: "0 0 24 8", width: 24, height: 8, "aria-hidden": "true" });
    swatch.append(makeSvg("line", { class: seriesClass(line, index), x1: 0, x2: 24, y1: 4, y2: 4 }));
    const area = typeof line.area === "number" ? `: area ${line.area.toFixed(3)}` : "";
    return make("li", {}, swatch, makeText("span", `${line.label}${area}`));
  });
  return make("ul", { class: "legend", role: "list", "aria-label": plot.axes[1] }, ...items);
}
