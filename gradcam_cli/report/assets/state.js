// What the page shows is its URL's fragment: any view can be linked, and back and forward work.

const byId = (id) => document.getElementById(id);
const report = JSON.parse(byId("report").textContent);

const defaults = {
  view: "", q: "", class: "", min: "", max: "", status: "all", sort: "run", order: "ascending", page: "1",
  entry: "", map: "1", mode: "blend", opacity: "", peak: "", box: "",
};
let state = readState();

function readState() {
  const given = new URLSearchParams(location.hash.slice(1));
  const read = Object.fromEntries(Object.entries(defaults).map(([key, value]) => [key, given.get(key) ?? value]));
  for (const key of ["status", "sort", "order"]) {
    const known = [...byId(key).options].some((option) => option.value === read[key]);
    if (!known) read[key] = defaults[key];
  }
  for (const key of ["min", "max"]) {
    if (Number.isNaN(Number(read[key]))) read[key] = defaults[key];
  }
  if (location.hash === "#summary") read.view = "summary"; // the page's links without JavaScript
  return read;
}

/** Return the link to what is shown, with some changes. */
function link(changes = {}) {
  const wanted = { ...state, ...changes };
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(defaults)) {
    if (wanted[key] !== value) parameters.set(key, wanted[key]);
  }
  return `#${parameters}`;
}

let edited = ""; // the field whose edits make the newest step of the browser's history
let waiting = 0; // browsers refuse many steps a second, so that continuous edits are written when the hand rests

/** Change what is shown. Edits of the same field, as of a slider, make one step in the browser's history. */
function go(changes, field = "") {
  const same = field !== "" && field === edited;
  if (!same) writeEdits();
  state = { ...state, ...changes };
  edited = field;
  if (same) {
    clearTimeout(waiting);
    waiting = setTimeout(writeEdits, 300);
  } else {
    history.pushState(null, "", link());
  }
  draw();
}

function writeEdits() {
  if (!waiting) return;
  clearTimeout(waiting);
  waiting = 0;
  history.replaceState(null, "", link());
}

function followLink() {
  clearTimeout(waiting);
  waiting = 0;
  edited = "";
  state = readState();
  draw();
}

/** Make an element. Texts of the report become text nodes or attributes, never HTML. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Make an element whose text, of any script, stays apart from the direction of the text around it. */
const makeText = (tag, text, attributes = {}) => make(tag, { dir: "auto", ...attributes }, text);

/** Return the nodes of a path that may be broken before its last part. */
function breakName(name) {
  const end = name.lastIndexOf("/") + 1;
  return end ? [name.slice(0, end), make("wbr"), name.slice(end)] : [name];
}

function showPercent(p) {
  if (typeof p !== "number") return "–";
  return p > 0 && p < 0.0005 ? "< 0.1 %" : `${(100 * p).toFixed(1)} %`;
}

const showNumber = (value) => (typeof value === "number" ? String(Number(value.toPrecision(4))) : "–");
