// What is known of the photo shown, in words and numbers.

function drawFacts(entry, maps) {
  drawTop(entry.top ?? []);
  const numbers = makeNumbers(entry, maps);
  byId("numbers").hidden = numbers === null;
  byId("numbers").lastElementChild.replaceChildren(...(numbers ? [numbers] : []));
  drawFiles(maps);
  drawCommands(maps);
}

function drawTop(top) {
  byId("top").hidden = !top.length;
  const largest = Math.max(...top.map(([, p]) => p), 0);
  const rows = top.map(([name, p]) => {
    const bar = make("span", { class: "share", "aria-hidden": "true" });
    bar.style.setProperty("--share", 0 <= p && largest <= 1 ? p : p / (largest || 1));
    return make("tr", {}, make("th", { scope: "row" }, makeText("span", name), bar),
      make("td", {}, largest <= 1 ? showPercent(p) : showNumber(p)));
  });
  byId("top").lastElementChild.replaceChildren(make("tbody", {}, ...rows));
}

/** Return the table of numbers, with a column for each map on the stage. */
function makeNumbers(entry, maps) {
  if (!maps.length) return null;
  const rows = new Map();
  const note = (label, place, text) => {
    if (!rows.has(label)) rows.set(label, maps.map(() => "–"));
    rows.get(label)[place] = text;
  };
  maps.forEach((map, place) => {
    for (const [label, text] of known(map)) note(label, place, text);
    for (const [label, text] of map.numbers ?? []) note(label, place, String(text));
    for (const [metric, value] of Object.entries(map.metrics ?? {})) note(titleOf(metric), place, showNumber(value));
  });
  const body = [...rows].map(([label, texts]) => make("tr", {}, makeText("th", label, { scope: "row" }),
    ...texts.map((text) => makeText("td", text))));
  if (maps.length < 2) return make("table", {}, make("tbody", {}, ...body));
  const head = make("tr", {}, make("td"), ...maps.map((map) => makeText("th", map.run, { scope: "col" })));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
}

function known(map) {
  return [
    ["class", map.class],
    ["probability", typeof map.p === "number" ? showPercent(map.p) : null],
    ["layer", map.layer],
    ["method", map.method],
    ["depth t", typeof map.t === "number" ? showNumber(map.t) : null],
    ["adjoint norm", typeof map.adjoint_norm === "number" ? showNumber(map.adjoint_norm) : null],
    ["peak x, y (pixels)", map.peak?.join(", ")],
    ["box x0, y0, x1, y1 (pixels)", map.box?.join(", ")],
  ].filter(([, text]) => text);
}

function drawFiles(maps) {
  const links = maps.flatMap((map) => Object.entries(map.files ?? {}).map(([kind, path]) => {
    const words = map.run ? `${map.run}: ${kind}` : kind;
    return make("li", {}, make("a", { href: path }, words));
  }));
  byId("files").hidden = !links.length;
  byId("files").lastElementChild.replaceChildren(...links);
}

function drawCommands(maps) {
  const commands = [...new Set(maps.map((map) => map.shell).filter(Boolean))];
  byId("again").hidden = !commands.length;
  byId("again").querySelector("div").replaceChildren(...commands.map(makeCommand));
  byId("copied").textContent = "";
}

function makeCommand(command) {
  const code = makeText("pre", command);
  const button = make("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    const done = await copy(command, code);
    byId("copied").textContent = done ? "✓ Copied the command."
      : "The command is selected: copy it with the keyboard.";
  });
  return make("div", { class: "command" }, code, button);
}

/** Copy a text; where the browser forbids it, select the element that shows it and copy the selection. */
async function copy(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}
