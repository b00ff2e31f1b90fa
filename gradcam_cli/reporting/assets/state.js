// The view state, stored in the fragment of the URL: every view has a link, and back and forward work.

const report = JSON.parse(byId("report").textContent);

const firstDrift = report.command === "compare" // comparisons start with the largest drift
  ? report.metrics.find((metric) => metric.name !== "class-change")?.name : undefined;
const defaults = {
  view: "", q: "", class: "", min: "", max: "", status: "all", truth: report.only ?? "all", true: "", predicted: "",
  sort: firstDrift ? `metric:${firstDrift}` : "run", order: firstDrift ? "descending" : "ascending", page: "1",
  entry: "", map: "1", mode: "overlay", divider: "50", opacity: "", peak: "", box: "",
  cmap: report.cmap, blend: report.blend, lines: "", axis: "0", slice: "",
};
let state = parseFragment();

function parseFragment() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const parsed = Object.fromEntries(
    Object.entries(defaults).map(([key, value]) => [key, parameters.get(key) ?? value]),
  );
  if (!Object.hasOwn(report.colormaps, parsed.cmap)) parsed.cmap = defaults.cmap;
  if (!["opacity", "constant"].includes(parsed.blend)) parsed.blend = defaults.blend;
  for (const key of ["status", "truth", "sort", "order", "lines"]) {
    const valid = [...(byId(key)?.options ?? [])].some((option) => option.value === parsed[key]);
    if (!valid) parsed[key] = defaults[key];
  }
  for (const key of ["min", "max"]) {
    if (Number.isNaN(Number(parsed[key]))) parsed[key] = defaults[key];
  }
  if (location.hash === "#summary") parsed.view = "summary"; // links of the page without JavaScript
  return parsed;
}

/** Return changes of the view; another input starts at the slice of its peak. */
const withSlice = (changes) => ("entry" in changes ? { axis: "0", slice: "", ...changes } : changes);

/** Return the link to the current view with some changes. */
function link(changes = {}) {
  const target = { ...state, ...withSlice(changes) };
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(defaults)) {
    if (target[key] !== value) parameters.set(key, target[key]);
  }
  return `#${parameters}`;
}

let editedField = ""; // the field whose edits belong to the newest entry of the browser's history
let historyTimer = 0; // browsers limit the rate of history changes, so continuous edits are written after a pause

/**
 * Change the view. Successive edits of one field, such as a slider, make one entry in the browser's history.
 *
 * redraw: draws what the changes affect; by default, all.
 */
function go(changes, field = "", redraw = draw) {
  const sameField = field !== "" && field === editedField;
  if (!sameField) writeEdits();
  state = { ...state, ...withSlice(changes) };
  editedField = field;
  if (sameField) {
    clearTimeout(historyTimer);
    historyTimer = setTimeout(writeEdits, 300);
  } else {
    history.pushState(null, "", link());
  }
  redraw();
}

function writeEdits() {
  if (!historyTimer) return;
  clearTimeout(historyTimer);
  historyTimer = 0;
  history.replaceState(null, "", link());
}

function followLink() {
  clearTimeout(historyTimer);
  historyTimer = 0;
  editedField = "";
  state = parseFragment();
  draw();
}
