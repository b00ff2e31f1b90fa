// Elements and texts of the pages: the report and the explorer.

const byId = (id) => document.getElementById(id);

/** Make an element. Texts become text nodes or attributes, never HTML. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Make an element whose text direction does not depend on the text around it. */
const makeText = (tag, text, attributes = {}) => make(tag, { dir: "auto", ...attributes }, text);

function makeSvg(tag, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

/** Return the nodes of a path: its folder, and its last part, which wraps as a whole. */
function wrappableName(name) {
  const end = name.lastIndexOf("/") + 1;
  return end ? [make("span", { class: "folder" }, name.slice(0, end)), make("wbr"), name.slice(end)] : [name];
}

/** Cut a long text in the middle; the end keeps more, for it has the number and the suffix of a file. */
function cutMiddle(text, length) {
  const characters = [...text];
  if (characters.length <= length) return text;
  const end = Math.ceil(0.6 * (length - 1));
  return `${characters.slice(0, length - 1 - end).join("")}…${characters.slice(-end).join("")}`;
}

/** Return the nodes of a command that wraps only between its words, not at hyphens. */
const wrappableCommand = (command) => command.split(" ")
  .flatMap((word) => [" ", make("span", { class: "word" }, word)]).slice(1);

function formatPercent(probability) {
  if (typeof probability !== "number") return "–";
  return probability > 0 && probability < 0.0005 ? "< 0.1 %" : `${(100 * probability).toFixed(1)} %`;
}

const formatNumber = (value) => (typeof value === "number" ? String(Number(value.toPrecision(4))) : "–");

/** Copy a text; if the browser forbids it, select the element that contains it and copy the selection. */
async function copyText(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}
