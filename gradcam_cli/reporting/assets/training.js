// The page of a training: a slider over the epochs, whose maps are drawn over the images.

const byId = (id) => document.getElementById(id);
const { colors, epochs, names } = JSON.parse(byId("training").textContent);
const colorTable = Uint8Array.from(atob(colors), (character) => character.charCodeAt(0));
const cards = [...document.querySelectorAll("#maps li")];
const playMilliseconds = 700, minSide = 224;
let timer = 0;

const formatNumber = (value) => (typeof value === "number" ? String(Number(value.toPrecision(3))) : "–");
const formatClass = ({ text, probability }) => (
  probability === null ? text : `${text} (${probability.toFixed(3)})`);

/** Show the epoch of the slider. */
function showEpoch() {
  const shown = epochs[byId("epoch").valueAsNumber];
  byId("current").textContent = `Epoch ${shown.epoch} of ${epochs.at(-1).epoch}`;
  byId("epoch").setAttribute("aria-valuetext", `Epoch ${shown.epoch}`);
  byId("previous").disabled = shown === epochs[0];
  byId("next").disabled = shown === epochs.at(-1);
  byId("problem").hidden = !shown.errors;
  byId("problem").textContent = shown.errors
    ? `Epoch ${shown.epoch}: ${shown.errors} of ${names.length} images have no map.` : "";
  cards.forEach((card, number) => showMap(card, shown.images[number], names[number]));
  for (const plot of document.querySelectorAll("#curves svg[data-first]")) moveLine(plot, shown.epoch);
  history.replaceState(null, "", `#epoch=${shown.epoch}`);
}

function showMap(card, image, name) {
  const text = (selector, value) => { card.querySelector(selector).textContent = value; };
  text(".explained", image.class ? `explained: ${formatClass(image.class)}` : "");
  const differs = image.predicted && image.predicted.text !== image.class?.text;
  text(".predicted", differs ? `predicted: ${formatClass(image.predicted)}` : "");
  card.querySelector(".predicted").classList.toggle("other", Boolean(differs));
  const measure = byId("measure").value;
  const drift = (since) => formatNumber(image.drift[since]?.[measure]);
  text(".drift", "last" in image.drift ? `drift last ${drift("last")} · first ${drift("first")}` : "");
  text(".error", image.error ? `no map: ${image.error}` : image.zero_reason ? `zero map: ${image.zero_reason}` : "");
  const canvas = card.querySelector("canvas"), picture = card.querySelector("img");
  const scale = Math.max(Math.ceil(minSide / Math.max(picture.width, picture.height)), 1);
  canvas.width = scale * picture.getAttribute("width"); // also clears it
  canvas.height = scale * picture.getAttribute("height");
  canvas.setAttribute("aria-label", image.map ? `${name} with its map` : `${name} without a map`);
  if (image.map?.limit) {
    drawMap(canvas, decodeMap(image.map), { colors: colorTable, opacity: byId("opacity").valueAsNumber / 100 });
  }
}

/** Move the line of a plot to an epoch. */
function moveLine(plot, epoch) {
  const { first, last, left, right } = plot.dataset;
  const across = first === last ? 0.5 : (epoch - first) / (last - first);
  const x = Number(left) + across * (right - left);
  const line = plot.querySelector(".now");
  line.setAttribute("x1", x);
  line.setAttribute("x2", x);
}

/** Move the slider; return whether there is such an epoch. */
function moveBy(step) {
  const slider = byId("epoch"), before = slider.valueAsNumber;
  slider.valueAsNumber = Math.min(Math.max(before + step, 0), epochs.length - 1);
  if (slider.valueAsNumber !== before) showEpoch();
  return slider.valueAsNumber !== before;
}

function play(start) {
  clearInterval(timer);
  timer = 0;
  byId("play").setAttribute("aria-pressed", String(start));
  byId("play").textContent = start ? "Pause" : "Play";
  if (!start) return;
  if (byId("epoch").valueAsNumber === epochs.length - 1) moveBy(-epochs.length);
  timer = setInterval(() => { if (!moveBy(1)) play(false); }, playMilliseconds);
}

function epochOfAddress() {
  const wanted = Number(new URLSearchParams(location.hash.slice(1)).get("epoch"));
  const found = epochs.findIndex(({ epoch }) => epoch === wanted);
  return found < 0 ? epochs.length - 1 : found;
}

for (const card of cards) {
  const picture = card.querySelector("img");
  card.querySelector(".frame").style.setProperty("--width", picture.getAttribute("width"));
  card.querySelector(".frame").style.setProperty("--height", picture.getAttribute("height"));
}
byId("epoch").addEventListener("input", () => { play(false); showEpoch(); });
byId("opacity").addEventListener("input", showEpoch);
byId("measure").addEventListener("change", showEpoch);
byId("previous").addEventListener("click", () => { play(false); moveBy(-1); });
byId("next").addEventListener("click", () => { play(false); moveBy(1); });
byId("play").addEventListener("click", () => play(!timer));
addEventListener("hashchange", () => { byId("epoch").valueAsNumber = epochOfAddress(); showEpoch(); });
addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, select, .scroll")) return;
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    play(false);
    moveBy(event.key === "ArrowLeft" ? -1 : 1);
    event.preventDefault();
  }
});
byId("player").hidden = byId("maps").hidden = false;
byId("epoch").valueAsNumber = epochOfAddress();
showEpoch();
