// One photo with its maps: choosing among them, pictures, numbers, and the command that makes them again.

const choices = { class: "map-class", layer: "map-layer", method: "map-method" };
const smallPhoto = 128; // pixels of the longer side; below, pixels are shown as squares

function prepareDetail() {
  for (const [key, id] of Object.entries(choices)) {
    byId(id).addEventListener("change", () => chooseMap({ [key]: byId(id).value }));
  }
  for (const mode of ["blend", "side"]) byId(mode).addEventListener("change", () => go({ mode, opacity: "" }));
  byId("opacity").addEventListener("input", () => go({ opacity: byId("opacity").value }, "opacity"));
  byId("depth").addEventListener("input", () => {
    const map = depths(shownMap())[Number(byId("depth").value)];
    go({ map: String(shownEntry().maps.indexOf(map) + 1) }, "depth");
  });
  for (const toggle of ["peak", "box"]) {
    byId(toggle).addEventListener("change", () => go({ [toggle]: byId(toggle).checked ? "1" : "" }));
  }
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
}

const shownEntry = () => report.entries[Number(state.entry) - 1];

function shownMap() {
  const { maps } = shownEntry();
  return maps[Number(state.map) - 1] ?? maps[0];
}

/** Return the entries that previous and next walk through: the gallery's, or all where a filter hides this one. */
function walk() {
  const index = Number(state.entry) - 1;
  return matches().includes(index) ? matches() : [...report.entries.keys()];
}

/** Show the entry before or after; while a key is held down, all are one step in the browser's history. */
function step(by, held = false) {
  const indices = walk();
  const place = indices.indexOf(Number(state.entry) - 1) + by;
  if (!(place in indices)) return;
  go({ entry: String(indices[place] + 1), map: "1", page: pageOf(indices[place]) }, held ? "step" : "");
}

/** Show the map of this photo that has the wished value and else differs least from the one shown. */
function chooseMap(wished) {
  const map = nearest({ ...named(shownMap()), ...wished }, Object.keys(wished));
  go({ map: String(shownEntry().maps.indexOf(map) + 1) });
}

function nearest(wished, required) {
  const distance = (map) => {
    const parts = ["class", "layer", "method", "run"].map((key) => Number(named(map)[key] !== wished[key])
      * (required.includes(key) ? 100 : 1));
    const apart = Math.abs((map.t ?? 0) - (wished.t ?? 0));
    return parts.reduce((sum, part) => sum + part, apart / (1 + apart));
  };
  return shownEntry().maps.reduce((best, map) => (distance(map) < distance(best) ? map : best));
}

const names = new WeakMap();

/** Return a map's choices; classes of the same name are told apart by a number. */
function named(map) {
  if (!names.has(map)) nameMaps(shownEntry().maps);
  return names.get(map);
}

function nameMaps(maps) {
  const seen = new Map();
  for (const map of maps) {
    const choice = JSON.stringify(["class", "layer", "method", "t", "run"].map((key) => map[key]));
    const place = (seen.get(choice) ?? 0) + 1;
    seen.set(choice, place);
    names.set(map, { ...map, class: place > 1 ? `${map.class} (${place})` : map.class });
  }
}

/** Return the maps that differ from this one in depth only, from t = 0 on. */
function depths(map) {
  const alike = (other) => ["class", "layer", "method", "run"].every((key) => named(other)[key] === named(map)[key]);
  return shownEntry().maps.filter((other) => typeof other.t === "number" && alike(other))
    .sort((one, other) => one.t - other.t);
}

/** Return the maps on the stage: one, or those before and after. */
function shownMaps() {
  const map = shownMap();
  if (!map) return [];
  if (!map.run) return [map];
  const maps = ["before", "after"].map((run) => nearest({ ...named(map), run }, ["run"]));
  return maps.every((one, place) => one.run === ["before", "after"][place]) ? maps : [map];
}

function drawDetail() {
  const entry = shownEntry();
  const maps = shownMaps();
  const indices = walk();
  const place = indices.indexOf(Number(state.entry) - 1);
  byId("name").replaceChildren(...breakName(entry.name));
  byId("back").href = link({ entry: "", map: "1", page: pageOf(Number(state.entry) - 1) });
  byId("position").replaceChildren(`${place + 1} of ${indices.length}`,
    makeText("span", entry.name, { class: "hidden" })); // spoken as one walks on
  byId("previous").disabled = place === 0;
  byId("next").disabled = place === indices.length - 1;
  byId("notices").replaceChildren(...makeNotices(entry, maps));
  byId("explanation").hidden = !entry.photo && !maps.length;
  drawControls(maps);
  drawStage(entry, maps);
  byId("curve").replaceChildren(...(maps.length ? makeCurve(depths(maps[0]), maps[0]) : []));
  drawFacts(entry, maps);
}

function makeNotices(entry, maps) {
  const notices = [];
  if (entry.status !== "ok") {
    const text = make("p", {}, make("strong", {}, entry.status === "failed" ? "✗ Failed. " : "↷ Skipped. "),
      makeText("span", entry.error ?? ""));
    notices.push(make("div", { class: "notice bad" }, text, entry.hint ? makeText("p", entry.hint) : null));
  }
  for (const metric of entry.missed) {
    const text = makeText("span", titleOf(metric));
    notices.push(make("p", { class: "notice" }, make("strong", {}, "⚠ Misses a threshold: "), text));
  }
  for (const map of maps.filter((one) => one.zero)) {
    const which = map.run ? `The map ${map.run} is` : "The map is";
    const text = makeText("span", map.zero);
    notices.push(make("p", { class: "notice" }, make("strong", {}, `○ ${which} zero everywhere: `), text));
  }
  return notices;
}

const titleOf = (metric) => report.metrics.find((one) => one.name === metric)?.title ?? metric;

function drawControls(maps) {
  const [map] = maps;
  byId("controls").hidden = !map;
  if (!map) return;
  for (const [key, id] of Object.entries(choices)) {
    const values = [...new Set(shownEntry().maps.map((one) => named(one)[key]))];
    fillSelect(byId(id), values, named(shownMap())[key]);
  }
  const laid = maps.some((one) => one.picture);
  byId("modes").hidden = !laid || !shownEntry().photo;
  byId("opacity-label").hidden = !laid;
  byId(sideBySide() ? "side" : "blend").checked = true;
  byId("opacity").value = opacity();
  byId("opacity-shown").textContent = `${opacity()} %`;
  drawDepth(map);
  for (const toggle of ["peak", "box"]) {
    byId(toggle).parentElement.hidden = !laid || !maps.some((one) => one[toggle]);
    byId(toggle).checked = state[toggle] === "1";
  }
}

function fillSelect(select, values, value) {
  select.parentElement.hidden = values.length < 2;
  select.replaceChildren(...values.map((text) => makeText("option", text, { value: text })));
  select.value = value;
}

function drawDepth(map) {
  const maps = depths(map);
  byId("depth").parentElement.hidden = maps.length < 2;
  if (maps.length < 2) return;
  byId("depth").max = maps.length - 1;
  byId("depth").value = maps.indexOf(map);
  byId("depth").setAttribute("aria-valuetext", `t = ${showNumber(map.t)}`);
  byId("depth-shown").textContent = showNumber(map.t);
}
