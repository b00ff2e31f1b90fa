// The layers of a model as a strip of small maps along the depth of the network, and the depth t of a Neural ODE.

const strips = new Map(); // model id -> elements
const stripCache = new Map(); // key -> answer
const keptStrips = 40;

function makeStrip(model) {
  const title = makeText("h2", session.models.length > 1 ? `Layers of ${model.name}` : "Layers");
  const options = model.layers
    .map((layer) => makeText("option", `${layer.path} ${sizeOf(layer)}`, { value: layer.path }));
  const select = make("select", { "aria-label": `Layer of ${model.name}` }, ...options);
  select.addEventListener("change", () => show(forModel(model, { layer: select.value })));
  const note = make("p", { class: "quiet" });
  const list = make("ol", { class: "strip", role: "list" });
  list.append(...model.strip.map((path) => makeLayerButton(model, path)));
  const head = make("div", { class: "strip-head" }, title, select, note);
  const element = make("section", { "aria-label": `Layers of ${model.name}` }, head, list);
  if (model.depth) element.append(makeDepthSlider(model));
  byId("strips").append(element);
  strips.set(model.id, { element, select, note, list, key: null, request: null });
}

const sizeOf = ({ shape }) => shape.slice(0, 2).join(" × ");

function makeDepthSlider(model) {
  const { times } = model.depth;
  const slider = make("input", { type: "range", min: 0, max: times.length - 1, step: 1 });
  const value = make("output", {});
  slider.addEventListener("input", () => show(forModel(model, { t: times[Number(slider.value)] }), `t.${model.id}`));
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
  if (strip.key === key && strip.cmap !== currentLook().cmap) paintStrip(strip, currentLook());
  if (strip.key === key) return;
  strip.key = key;
  strip.request?.abort();
  if (stripCache.has(key)) fillStrip(model, strip, stripCache.get(key));
  else loadStrip(model, strip, parameters, key);
}

function drawDepthSlider(model, strip) {
  if (!model.depth) return;
  const label = strip.element.querySelector(".depth");
  label.hidden = !shownMethods().some((name) => hasDepth(model, name));
  const t = formatNumber(model.depth.times[depthIndex(model)]);
  label.querySelector("input").value = depthIndex(model);
  label.querySelector("input").setAttribute("aria-valuetext", `t = ${t}`);
  label.querySelector("output").textContent = t;
}

/** Return the parameters of a strip: with the first chosen method that has a quick map for each layer. */
function stripParameters(model) {
  const usable = (name) => {
    const method = methodOf(model, name);
    return method?.needs_layer && !method.slow && (modelSetting("against", model) === "" || method.contrast);
  };
  const method = shownMethods().find(usable) ?? session.defaults.method;
  const [chosen, against] = [modelSetting("class", model), modelSetting("against", model)];
  return { model: model.id, image: view.image, class: chosen, method, against };
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
    strip.note.textContent = error.message;
    strip.key = null; // requested again with the next change
  }
}

function fillStrip(model, strip, { maps }) {
  strip.shown = maps;
  const address = apiAddress(`images/${view.image}/picture`);
  for (const map of maps) {
    const button = buttonOf(strip, map.layer);
    if (!button) continue;
    const photo = button.querySelector("img");
    if (photo.getAttribute("src") !== address) photo.src = address;
    button.querySelector(".thumb").style.aspectRatio = `${map.width} / ${map.height}`;
    button.querySelector(".quiet").textContent = map.is_zero ? "zero" : button.dataset.size;
  }
  paintStrip(strip, currentLook());
}

const buttonOf = (strip, path) => [...strip.list.querySelectorAll("button")]
  .find((button) => button.dataset.layer === path);

/** Color the small maps of a strip. */
function paintStrip(strip, look) {
  for (const map of strip.shown ?? []) {
    const canvas = buttonOf(strip, map.layer)?.querySelector("canvas");
    if (!canvas) continue;
    [canvas.width, canvas.height] = [map.width, map.height];
    if (!map.is_zero) drawMap(canvas, decodeMap({ ...map, limit: 1 }), { colors: look.colors, opacity: 0.8 });
  }
  strip.cmap = look.cmap;
}

/** Make the short name of a layer, which may wrap after an underscore. */
function layerName(name) {
  const parts = cutMiddle(name, 22).split(/(?<=_)/).flatMap((part) => [part, make("wbr")]);
  return make("span", { class: "layer-name", "aria-hidden": "true" }, ...parts);
}

function makeLayerButton(model, path) {
  const layer = model.layers.find((candidate) => candidate.path === path);
  const name = path.slice(path.lastIndexOf("/") + 1);
  const frame = make("span", { class: "thumb" }, make("img", { alt: "" }), make("canvas", { "aria-hidden": "true" }));
  const size = layer ? sizeOf(layer) : "";
  const button = make("button", { type: "button", title: `${path}  ${size}`, "data-layer": path, "data-size": size },
    frame, layerName(name), makeText("span", path, { class: "hidden" }), make("span", { class: "quiet" }, size));
  button.addEventListener("click", () => show(forModel(model, { layer: path })));
  return make("li", {}, button);
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
  const start = button.offsetLeft; // from the edge of the strip, which is positioned
  const end = start + button.offsetWidth;
  if (start < list.scrollLeft) list.scrollLeft = start;
  else if (end > list.scrollLeft + list.clientWidth) list.scrollLeft = end - list.clientWidth;
}

/** Choose the layer before or after in the strip of the first model that has one there. */
function stepLayer(by) {
  for (const model of shownModels()) {
    const layers = model.strip;
    const paths = model.layers.map((layer) => layer.path);
    const position = paths.indexOf(layerOf(model));
    const next = by < 0 ? layers.findLast((layer) => paths.indexOf(layer) < position)
      : layers.find((layer) => paths.indexOf(layer) > position);
    if (next) return show(forModel(model, { layer: next }));
  }
  return say(by < 0 ? "This is the first layer." : "This is the last layer.");
}
