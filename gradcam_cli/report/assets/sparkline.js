// The adjoint norm along the depth t of a Neural ODE, as a curve and as a table.

const curveSize = { width: 360, height: 140, left: 14, right: 14, top: 26, bottom: 26 };

/** Return the nodes that show the adjoint norms of the maps; none if there are fewer than two. */
function makeCurve(maps, shown) {
  const known = maps.filter((map) => typeof map.adjoint_norm === "number");
  if (known.length < 2) return [];
  const rows = maps.map((map) => {
    const row = make("tr", {}, make("th", { scope: "row" }, showNumber(map.t)),
      make("td", {}, showNumber(map.adjoint_norm)));
    if (map === shown) row.setAttribute("aria-current", "true");
    return row;
  });
  const head = make("tr", {}, make("th", { scope: "col" }, "t"), make("th", { scope: "col" }, "adjoint norm"));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
  return [
    make("h3", {}, "Adjoint norm along the depth"),
    drawCurve(known, shown),
    make("details", {}, make("summary", {}, "As a table"), table),
  ];
}

function drawCurve(maps, shown) {
  const { width, height, left, right, top, bottom } = curveSize;
  const depths = maps.map((map) => map.t);
  const values = maps.map((map) => map.adjoint_norm);
  const [start, end, most] = [Math.min(...depths), Math.max(...depths), Math.max(...values)];
  const x = (map) => left + ((map.t - start) / (end - start || 1)) * (width - left - right);
  const y = (map) => height - bottom - (map.adjoint_norm / (most || 1)) * (height - top - bottom);
  const largest = maps[values.indexOf(most)];
  const text = `Adjoint norm from ${showNumber(values[0])} at t = ${showNumber(depths[0])} to `
    + `${showNumber(values.at(-1))} at t = ${showNumber(depths.at(-1))}; `
    + `largest, ${showNumber(most)}, at t = ${showNumber(largest.t)}.`;
  const svg = makeSvg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": text });
  svg.append(
    makeSvg("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }),
    makeSvg("polyline", { points: maps.map((map) => `${x(map)},${y(map)}`).join(" ") }),
    ...maps.map((map) => makeSvg("circle", { cx: x(map), cy: y(map), r: map === shown ? 6 : 2.5,
      class: map === shown ? "shown" : "" })),
    makeSvg("text", { x: left, y: height - 6 }, `t = ${showNumber(start)}`),
    makeSvg("text", { x: width - right, y: height - 6, "text-anchor": "end" }, `t = ${showNumber(end)}`),
    makeSvg("text", { x: left, y: 14 }, `largest ${showNumber(most)} at t = ${showNumber(largest.t)}`),
  );
  return svg;
}

function makeSvg(tag, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}
