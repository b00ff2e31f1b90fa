// The layers of a model as a strip of small maps along the depth of the network, and the depth t of a Neural ODE.

const strips = new Map(); // model id -> elements
const stripCache = new Map(); // key -> answer
const keptStrips = 40;

function makeStrip(model) {
  const title = session.models.length > 1 ? makeText("h2", `Layers of ${model.name}`) : make("h2", {}, "Layers");
  const select = make("select", { "aria-label": `Layer of ${model.name}` },
    ...model.layers.map((layer) => makeText("option", `${layer.path}  ${sizeOf(layer)}`, { value: layer.path })));
  select.addEventListener("change", () => show(forModel(model, { layer: select.value })));
  const note = make("p", { class: "quiet" });
  const list = make("ol", { class: "strip", role: "list", tabindex: "-1" });
  const element = make("section", { "aria-label": `Layers of ${model.name}` },
    make("div", { class: "strip-head" }, title, select, note), list, ...(model.depth ? [makeDepthSlider(model)] : []));
  byId("strips").append(element);
  strips.set(model.id, { element, select, note, list, key: null, request: null });
}

const sizeOf = ({ shape }) => shape.slice(0, 2).join(" × ");

function makeDepthSlider(model) {
  const { t0, t1 } = model.depth;
  const slider = make("input", { type: "range", min: t0, max: t1, step: (t1 - t0) / 50, "data-depth": model.id });
  const value = make("output", {});
  slider.addEventListener("input", () => show(forModel(model, { t: slider.value }), `t.${model.id}`));
  return make("label", { class: "depth" }, "Depth t ", slider, value);
}

function drawStrips() {
  for (const model of session.models) {
    const strip = strips.get(model.id);
    strip.element.hidden = !shownModels().includes(model);
    if (!strip.element.hidden) drawStrip(model, strip);
  }
}

function drawStrip(model, strip) {
  const layer = layerOf(model);
  strip.select.value = layer;
  const used = shownMethods().some((name) => methodOf(model, name)?.needs_layer);
  strip.note.textContent = used ? "" : "The chosen methods do not depend on the layer.";
  drawDepthSlider(model, strip);
  markLayer(strip, layer);
  const parameters = stripParameters(model);
  const key = JSON.stringify(parameters);
  if (strip.key === key) return;
  strip.key = key;
  strip.request?.abort();
  if (stripCache.has(key)) fillStrip(model, strip, stripCache.get(key));
  else loadStrip(model, strip, parameters, key);
}

function drawDepthSlider(model, strip) {
  if (!model.depth) return;
  const label = strip.element.querySelector(".depth");
  const t = depthOf(model);
  label.hidden = t === "";
  if (t === "") return;
  label.querySelector("input").value = t;
  label.querySelector("input").setAttribute("aria-valuetext", `t = ${formatNumber(Number(t))}`);
  label.querySelector("output").textContent = formatNumber(Number(t));
}

/** Return the parameters of a strip: with the first chosen method that has a quick map for each layer. */
function stripParameters(model) {
  const usable = (name) => {
    const method = methodOf(model, name);
    return method?.needs_layer && !method.slow && (modelSetting("against", model) === "" || method.contrast);
  };
  const method = shownMethods().find(usable) ?? session.defaults.method;
  return { model: model.id, image: view.image, class: modelSetting("class", model), method, against: modelSetting("against", model) };
}

async function loadStrip(model, strip, parameters, key) {
  strip.request = new AbortController();
  const { signal } = strip.request;
  await Promise.allSettled([...panels.values()].map((panel) => panel.loading)); // the large maps come first
  try {
    const answer = await requestJson("strip", parameters, { signal });
    stripCache.set(key, answer);
    if (stripCache.size > keptStrips) stripCache.delete(stripCache.keys().next().value);
    if (strip.key === key) fillStrip(model, strip, answer);
  } catch (error) {
    if (strip.key !== key || error.name === "AbortError") return;
    strip.list.replaceChildren(makeText("li", error.message, { class: "quiet" }));
    strip.key = null; // requested again with the next change
  }
}

function fillStrip(model, strip, { maps }) {
  const focused = strip.list.contains(document.activeElement) ? document.activeElement.dataset.layer : null;
  const look = { ...currentLook(), opacity: 0.8, blend: "opacity", contours: [] };
  strip.list.replaceChildren(...maps.map((map) => make("li", {}, makeLayerButton(model, map, look))));
  for (const button of strip.list.querySelectorAll("button")) if (button.dataset.layer === focused) button.focus();
  strip.maps = maps;
  markLayer(strip, layerOf(model));
}

function makeLayerButton(model, map, look) {
  const canvas = make("canvas", { width: map.width, height: map.height, "aria-hidden": "true" });
  const limit = map.limit ?? 0;
  const decoded = decodeMap({ ...map, limit: 1 });
  decoded.limit = limit || decoded.values.reduce((highest, value) => Math.max(highest, value), 0) || 1;
  if (!map.is_zero) drawMap(canvas, decoded, look);
  const photo = make("img", { src: apiAddress(`images/${view.image}/picture`), alt: "" });
  const layer = model.layers.find((candidate) => candidate.path === map.layer);
  const size = layer ? sizeOf(layer) : "";
  const name = map.layer.slice(map.layer.lastIndexOf("/") + 1);
  const frame = make("span", { class: "thumb" }, photo, canvas);
  frame.style.aspectRatio = `${map.width} / ${map.height}`;
  const button = make("button", { type: "button", title: `${map.layer}  ${size}`, "data-layer": map.layer }, frame,
    makeText("span", cutMiddle(name, 12), { class: "layer-name", "aria-hidden": "true" }),
    make("span", { class: "quiet" }, map.is_zero ? "zero" : size), makeText("span", map.layer, { class: "hidden" }));
  button.addEventListener("click", () => show(forModel(model, { layer: map.layer })));
  return button;
}

function markLayer(strip, layer) {
  for (const button of strip.list.querySelectorAll("button")) {
    const chosen = button.dataset.layer === layer;
    const changed = chosen !== (button.getAttribute("aria-pressed") === "true");
    button.setAttribute("aria-pressed", String(chosen));
    if (chosen && changed) scrollStrip(strip.list, button);
  }
}

/** Scroll the strip, and nothing around it, so that a button is visible. */
function scrollStrip(list, button) {
  const [start, end] = [button.offsetLeft - list.offsetLeft, button.offsetLeft - list.offsetLeft + button.offsetWidth];
  if (start < list.scrollLeft) list.scrollLeft = start;
  else if (end > list.scrollLeft + list.clientWidth) list.scrollLeft = end - list.clientWidth;
}

/** Choose the layer before or after in the strip of the first model that has one there. */
function stepLayer(by) {
  for (const model of shownModels()) {
    const layers = (strips.get(model.id).maps ?? []).map((map) => map.layer);
    const paths = model.layers.map((layer) => layer.path);
    const position = paths.indexOf(layerOf(model));
    const next = by < 0 ? layers.findLast((layer) => paths.indexOf(layer) < position)
      : layers.find((layer) => paths.indexOf(layer) > position);
    if (next) return show(forModel(model, { layer: next }));
  }
  return say(by < 0 ? "This is the first layer." : "This is the last layer.");
}
