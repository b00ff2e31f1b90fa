// The adjoint norm over the depth t of a neural ODE, as a curve and as a table.

const curveSize = { width: 360, height: 140, left: 14, right: 14, top: 26, bottom: 26 };

/** Return the nodes that show the adjoint norms, or none if fewer than two maps have one. */
function makeSparkline(maps, current) {
  const withNorm = maps.filter((map) => typeof map.adjoint_norm === "number");
  if (withNorm.length < 2) return [];
  const rows = maps.map((map) => {
    const row = make("tr", {}, make("th", { scope: "row" }, formatNumber(map.t)),
      make("td", {}, formatNumber(map.adjoint_norm)));
    if (map === current) row.setAttribute("aria-current", "true");
    return row;
  });
  const head = make("tr", {}, make("th", { scope: "col" }, "t"), make("th", { scope: "col" }, "adjoint norm"));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
  return [
    make("h3", {}, "Adjoint norm by depth"),
    drawCurve(withNorm, current),
    make("details", {}, make("summary", {}, "Table"), table),
  ];
}

function drawCurve(maps, current) {
  const { width, height, left, right, top, bottom } = curveSize;
  const depths = maps.map((map) => map.t);
  const norms = maps.map((map) => map.adjoint_norm);
  const [start, end, max] = [Math.min(...depths), Math.max(...depths), Math.max(...norms)];
  const x = (map) => left + ((map.t - start) / (end - start || 1)) * (width - left - right);
  const y = (map) => height - bottom - (map.adjoint_norm / (max || 1)) * (height - top - bottom);
  const maxDepth = formatNumber(maps[norms.indexOf(max)].t);
  const text = `Adjoint norm from ${formatNumber(norms[0])} at t = ${formatNumber(depths[0])} to `
    + `${formatNumber(norms.at(-1))} at t = ${formatNumber(depths.at(-1))}; `
    + `maximum ${formatNumber(max)} at t = ${maxDepth}.`;
  const svg = makeSvg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": text });
  svg.append(
    makeSvg("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }),
    makeSvg("polyline", { points: maps.map((map) => `${x(map)},${y(map)}`).join(" ") }),
    ...maps.map((map) => makeSvg("circle", { cx: x(map), cy: y(map), r: map === current ? 6 : 2.5,
      class: map === current ? "current" : "" })),
    makeSvg("text", { x: left, y: height - 6 }, `t = ${formatNumber(start)}`),
    makeSvg("text", { x: width - right, y: height - 6, "text-anchor": "end" }, `t = ${formatNumber(end)}`),
    makeSvg("text", { x: left, y: 14 }, `maximum ${formatNumber(max)} at t = ${maxDepth}`),
  );
  return svg;
}
