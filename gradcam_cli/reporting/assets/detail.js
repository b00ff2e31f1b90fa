// The view of one image: selecting a map, and moving to the previous or next image.

const selects = { class: "map-class", layer: "map-layer", method: "map-method" };
const smallImageSide = 128; // images up to this longer side are shown with visible pixels

function prepareDetail() {
  for (const [key, id] of Object.entries(selects)) {
    byId(id).addEventListener("change", () => selectMap({ [key]: byId(id).value }));
  }
  for (const mode of ["overlay", "side", "swipe"]) {
    byId(mode).addEventListener("change", () => go({ mode, opacity: "" }));
  }
  byId("opacity").addEventListener("input", () => go({ opacity: byId("opacity").value }, "opacity"));
  byId("depth").addEventListener("input", () => {
    const map = mapsByDepth(currentMap())[Number(byId("depth").value)];
    go({ map: String(currentEntry().maps.indexOf(map) + 1) }, "depth");
  });
  for (const mark of ["peak", "box"]) {
    byId(mark).addEventListener("change", () => go({ [mark]: byId(mark).checked ? "1" : "" }));
  }
  prepareLook();
  prepareSwipe();
  prepareScroll();
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
}

const currentEntry = () => report.entries[Number(state.entry) - 1];

function currentMap() {
  const { maps } = currentEntry();
  return maps[Number(state.map) - 1] ?? maps[0];
}

/** Return the indices of the gallery's entries, or of all entries if the filters exclude the current one. */
function navigationOrder() {
  const index = Number(state.entry) - 1;
  return matches().includes(index) ? matches() : [...report.entries.keys()];
}

/** Show the previous or next entry; steps with a held key make one entry in the browser's history. */
function step(by, held = false) {
  const indices = navigationOrder();
  const position = indices.indexOf(Number(state.entry) - 1) + by;
  if (!(position in indices)) return;
  go({ entry: String(indices[position] + 1), map: "1", page: pageOf(indices[position]) }, held ? "step" : "");
}

/** Show the map that has the selected values and is otherwise closest to the current map. */
function selectMap(values) {
  const map = closestMap({ ...labeled(currentMap()), ...values }, Object.keys(values));
  go({ map: String(currentEntry().maps.indexOf(map) + 1) });
}

function closestMap(values, required) {
  const distance = (map) => {
    const differences = ["class", "layer", "method", "run"].map((key) => Number(labeled(map)[key] !== values[key])
      * (required.includes(key) ? 100 : 1));
    const depthDifference = Math.abs((map.t ?? 0) - (values.t ?? 0));
    return differences.reduce((sum, difference) => sum + difference, depthDifference / (1 + depthDifference));
  };
  return currentEntry().maps.reduce((best, map) => (distance(map) < distance(best) ? map : best));
}

const labels = new WeakMap();

/** Return a map with a unique class label: equal class names get a number. */
function labeled(map) {
  if (!labels.has(map)) labelMaps(currentEntry().maps);
  return labels.get(map);
}

function labelMaps(maps) {
  const counts = new Map();
  for (const map of maps) {
    const key = JSON.stringify(["class", "layer", "method", "t", "run"].map((name) => map[name]));
    const number = (counts.get(key) ?? 0) + 1;
    counts.set(key, number);
    labels.set(map, { ...map, class: number > 1 ? `${map.class} (${number})` : map.class });
  }
}

/** Return the maps that differ from this map only in depth, sorted by depth. */
function mapsByDepth(map) {
  const matching = (other) => ["class", "layer", "method", "run"].every((key) => labeled(other)[key] === labeled(map)[key]);
  return currentEntry().maps.filter((other) => typeof other.t === "number" && matching(other))
    .sort((first, second) => first.t - second.t);
}

/** Return the maps in the viewer: the current map, or the maps before and after. */
function viewerMaps() {
  const map = currentMap();
  if (!map) return [];
  if (!map.run) return [map];
  const runs = ["before", "after"];
  const maps = runs.map((run) => closestMap({ ...labeled(map), run }, ["run"]));
  return maps.every((pairedMap, index) => pairedMap.run === runs[index]) ? maps : [map];
}

function drawDetail() {
  const entry = currentEntry();
  const maps = viewerMaps();
  stopPlaying();
  const indices = navigationOrder();
  const position = indices.indexOf(Number(state.entry) - 1);
  byId("name").replaceChildren(...wrappableName(entry.name));
  byId("back").href = link({ entry: "", map: "1", page: pageOf(Number(state.entry) - 1) });
  byId("position").replaceChildren(`${position + 1} of ${indices.length}`,
    makeText("span", entry.name, { class: "hidden" })); // for screen readers
  byId("previous").disabled = position === 0;
  byId("next").disabled = position === indices.length - 1;
  byId("notices").replaceChildren(...makeNotices(entry, maps));
  byId("explanation").hidden = !entry.image && !maps.length;
  drawControls(maps);
  drawViewer(entry, maps);
  byId("sparkline").replaceChildren(...(maps.length ? makeSparkline(mapsByDepth(maps[0]), maps[0]) : []));
  drawDetails(entry, maps);
}

function makeNotices(entry, maps) {
  const notices = makeTruthNotice(entry);
  if (entry.status !== "ok") {
    const text = make("p", {}, make("strong", {}, entry.status === "failed" ? "✗ Failed. " : "↷ Skipped. "),
      makeText("span", entry.error ?? ""));
    notices.push(make("div", { class: "notice bad" }, text, entry.hint ? makeText("p", entry.hint) : null));
  }
  for (const metric of entry.failed_thresholds) {
    const text = makeMetricName("span", metric);
    notices.push(make("p", { class: "notice" }, make("strong", {}, "⚠ Fails a threshold: "), text));
  }
  for (const map of maps.filter((candidate) => candidate.zero_reason)) {
    const subject = map.run ? `The map ${map.run} is` : "The map is";
    const text = makeText("span", map.zero_reason);
    notices.push(make("p", { class: "notice" }, make("strong", {}, `○ ${subject} zero everywhere: `), text));
  }
  return notices;
}

const metricTitle = (name) => report.metrics.find((metric) => metric.name === name)?.title ?? name;

/** Make the cell of a metric: its words, and its name as the command line has it. */
function makeMetricName(tag, name, attributes = {}) {
  const title = metricTitle(name);
  if (title === name) return makeText(tag, name, attributes);
  return make(tag, attributes, makeText("span", title), " ", makeText("code", name));
}

function drawControls(maps) {
  const [map] = maps;
  byId("controls").hidden = !map;
  byId("look").hidden = !map;
  if (!map) return;
  for (const [key, id] of Object.entries(selects)) {
    const values = [...new Set(currentEntry().maps.map((candidate) => labeled(candidate)[key]))];
    fillSelect(byId(id), values, labeled(currentMap())[key]);
  }
  const hasMapImage = maps.some((candidate) => candidate.map_image || candidate.levels);
  const pair = maps.length === 2;
  byId("modes").hidden = !hasMapImage || !hasPicture(currentEntry());
  byId("swipe").parentElement.hidden = !pair;
  byId("opacity-label").hidden = !hasMapImage;
  byId(sideBySide() ? "side" : swiping(maps) ? "swipe" : "overlay").checked = true;
  byId("divider").parentElement.hidden = !swiping(maps);
  byId("divider").value = dividerPercent();
  byId("opacity").value = opacity();
  byId("opacity-value").textContent = `${opacity()} %`;
  drawDepth(map);
  for (const mark of ["peak", "box"]) {
    byId(mark).parentElement.hidden = !hasMapImage || !maps.some((candidate) => candidate[mark]);
    byId(mark).checked = state[mark] === "1";
  }
  drawLookControls(maps);
}

function fillSelect(select, values, value) {
  select.parentElement.hidden = values.length < 2;
  select.replaceChildren(...values.map((text) => makeText("option", text, { value: text })));
  select.value = value;
}

function drawDepth(map) {
  const maps = mapsByDepth(map);
  byId("depth").parentElement.hidden = maps.length < 2;
  if (maps.length < 2) return;
  byId("depth").max = maps.length - 1;
  byId("depth").value = maps.indexOf(map);
  byId("depth").setAttribute("aria-valuetext", `t = ${formatNumber(map.t)}`);
  byId("depth-value").textContent = formatNumber(map.t);
}
