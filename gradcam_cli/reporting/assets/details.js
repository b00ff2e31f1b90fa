// Predictions, values, files and commands of the maps in the viewer.

function drawDetails(entry, maps) {
  drawPredictions(entry, maps);
  byId("numbers").hidden = !maps.length;
  byId("numbers").lastElementChild.replaceChildren(...makeValueTables(maps));
  drawFiles(maps);
  drawCommands(maps);
}

/** Draw the predictions; a click shows the map of a class, or the command that computes it. */
function drawPredictions(entry, maps) {
  const predictions = entry.predictions ?? [];
  byId("predictions").hidden = !predictions.length;
  const largest = Math.max(...predictions.map(([, probability]) => probability), 0);
  const shown = new Set(maps.map((map) => map.class));
  const rows = predictions.map(([name, probability, index]) => {
    const bar = make("span", { class: "probability-bar", "aria-hidden": "true" });
    const fraction = 0 <= probability && largest <= 1 ? probability : probability / (largest || 1);
    bar.style.setProperty("--fraction", fraction);
    return make("tr", {}, make("th", { scope: "row" }, makePrediction(entry, maps, name, index, shown), bar),
      make("td", {}, largest <= 1 ? formatPercent(probability) : formatNumber(probability)));
  });
  byId("predictions").querySelector("table").replaceChildren(make("tbody", {}, ...rows));
  if (byId("wanted").dataset.entry !== state.entry) byId("wanted").replaceChildren();
}

function makePrediction(entry, maps, name, index, shown) {
  const hasMap = entry.maps.some((map) => map.class === name);
  const command = hasMap ? "" : commandFor(maps, index);
  if (!hasMap && !command) return makeText("span", name);
  const title = hasMap ? "Show the map of this class" : "Show the command that computes the map of this class";
  const button = makeText("button", name, { type: "button", class: hasMap ? "class-name" : "class-name missing",
    "aria-pressed": String(shown.has(name)), title });
  button.addEventListener("click", () => {
    if (!hasMap) return showWanted(name, command);
    selectMap({ class: labeled(entry.maps.find((map) => map.class === name)).class });
    byId("wanted").replaceChildren();
    [...byId("predictions").querySelectorAll("button")].find((each) => each.textContent === name)?.focus();
    return undefined;
  });
  return button;
}

/** Return the command of the map in the viewer for another class, or "" if its class has no index of its own. */
function commandFor(maps, index) {
  const command = maps.at(-1)?.command ?? "";
  const last = / --class \d+$/;
  return Number.isInteger(index) && last.test(command) ? command.replace(last, ` --class ${index}`) : "";
}

function showWanted(name, command) {
  const text = make("p", {}, "The run has no map of ", makeText("strong", name), ". This command computes it:");
  byId("wanted").replaceChildren(text, makeCommand(command, byId("wanted-copied")));
  byId("wanted").dataset.entry = state.entry;
  byId("wanted-copied").textContent = "";
}

/** Return a table of values with one column per map, and for two maps a table of their drift. */
function makeValueTables(maps) {
  const values = makeValueTable(maps);
  if (maps.length < 2) return maps.length ? [values] : [];
  const drifts = Object.entries(maps.at(-1).metrics ?? {}).map(([metric, value]) => make("tr", {},
    makeMetricName("th", metric, { scope: "row" }), make("td", {}, formatNumber(value))));
  if (!drifts.length) return [values];
  const head = make("tr", {}, make("th", { scope: "col" }, "drift"), make("th", { scope: "col" }, "value"));
  return [values, make("table", {}, make("thead", {}, head), make("tbody", {}, ...drifts))];
}

function makeValueTable(maps) {
  const rows = new Map();
  const setCell = (label, column, text) => {
    if (!rows.has(label)) rows.set(label, maps.map(() => "–"));
    rows.get(label)[column] = text;
  };
  maps.forEach((map, column) => {
    for (const [label, text] of mapValues(map)) setCell(label, column, text);
    for (const [label, text] of map.numbers ?? []) setCell(label, column, String(text));
  });
  const body = [...rows].map(([label, texts]) => make("tr", {}, makeText("th", label, { scope: "row" }),
    ...texts.map((text) => makeText("td", text))));
  const metrics = maps.length < 2 ? Object.entries(maps[0]?.metrics ?? {}) : [];
  body.push(...metrics.map(([metric, value]) => make("tr", {}, makeMetricName("th", metric, { scope: "row" }),
    make("td", {}, formatNumber(value)))));
  if (maps.length < 2) return make("table", {}, make("tbody", {}, ...body));
  const head = make("tr", {}, make("td"), ...maps.map((map) => makeText("th", map.run, { scope: "col" })));
  return make("table", { class: "pair" }, make("thead", {}, head), make("tbody", {}, ...body));
}

function mapValues(map) {
  return [
    ["class", map.class],
    ["probability", typeof map.probability === "number" ? formatPercent(map.probability) : null],
    ["layer", map.layer],
    ["cells", map.cells],
    ["method", map.method],
    ["model", map.model],
    ["depth t", typeof map.t === "number" ? formatNumber(map.t) : null],
    ["adjoint norm", typeof map.adjoint_norm === "number" ? formatNumber(map.adjoint_norm) : null],
    [`peak ${placeNames[map.peak?.length]?.join(", ")} (${placeUnit()})`, map.peak?.join(", ")],
    [`box ${boxNames(map.box)} (${placeUnit()})`, map.box?.join(", ")],
  ].filter(([, text]) => text);
}

const placeNames = { 1: ["x"], 2: ["x", "y"], 3: ["x", "y", "z"] };
const placeUnits = { signal: "samples", volume: "voxels", film: "pixels, frame" };
const placeUnit = () => placeUnits[currentEntry().kind] ?? "pixels";

function boxNames(box) {
  const names = placeNames[(box?.length ?? 0) / 2] ?? [];
  return [0, 1].flatMap((end) => names.map((name) => `${name}${end}`)).join(", ");
}

function drawFiles(maps) {
  const links = maps.flatMap((map) => Object.entries(map.files ?? {}).map(([kind, path]) => {
    const text = map.run ? `${map.run}: ${kind}` : kind;
    return make("li", {}, make("a", { href: path }, text));
  }));
  byId("files").hidden = !links.length;
  byId("files").lastElementChild.replaceChildren(...links);
}

function drawCommands(maps) {
  const commands = [...new Set(maps.map((map) => map.command).filter(Boolean))];
  byId("rerun").hidden = !commands.length;
  const nodes = commands.map((command) => makeCommand(command, byId("copied")));
  byId("rerun").querySelector("div").replaceChildren(...nodes);
  byId("copied").textContent = "";
}

function makeCommand(command, status) {
  const code = make("pre", { dir: "auto" }, ...wrappableCommand(command));
  const button = make("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    const copied = await copyText(command, code);
    status.textContent = copied ? "✓ Copied the command." : "Press Ctrl+C to copy the selected command.";
  });
  return make("div", { class: "command" }, code, button);
}
