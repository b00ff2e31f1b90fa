// The layers of a model as a strip of small maps along the depth of the network, and the depth t of a Neural ODE.

const strips = new Map(); // model id -> elements
const thumbSide = 80; // pixels of a small map
const slowMap = 2000; // milliseconds

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
  strips.set(model.id, { element, select, note, list, answers: new Map(), key: null, abort: null });
}

const sizeOf = ({ shape }) => shape.slice(0, session.rank).join(session.rank === 3 ? "×" : " × ");

/** Return the parameters of a small map; of a volume or a film, it is the slice with its highest value. */
function stripParameters(model, method, path) {
  const parameters = mapParameters(model, method, path);
  return "slice" in parameters ? { ...parameters, slice: "" } : parameters;
}

function makeDepthSlider(model) {
  const { times } = model.depth;
  const slider = make("input", { type: "range", min: 0, max: times.length - 1, step: 1 });
  const value = make("output", {});
  slider.addEventListener("input", () => show(forModel(model, { t: times[Number(slider.value)] }), `t.${model.id}`));
  return make("label", { class: "depth" }, "Depth t ", slider, value);
}

function drawStrips() {
  for (const model of session.models) drawStrip(model, strips.get(model.id));
}

function drawStrip(model, strip) {
  const layer = layerOf(model);
  strip.select.value = layer;
  const used = shownMethods().some((name) => methodOf(model, name)?.needs_layer);
  strip.note.textContent = used ? "" : "The chosen methods do not depend on the layer.";
  drawDepthSlider(model, strip);
  markLayer(strip, layer);
  if (strip.image !== view.image) clearThumbs(strip);
  if (strip.cmap !== currentLook().cmap) paintStrip(strip);
  const method = stripMethod(model);
  const wanted = model.strip.map((path) => stripParameters(model, method, path));
  const key = JSON.stringify(wanted);
  if (strip.key === key) return;
  strip.key = key;
  fillStrip(strip, wanted);
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

/** Return the method of a strip: the first chosen one that has a quick map for each layer. */
function stripMethod(model) {
  const usable = (name) => {
    const method = methodOf(model, name);
    return method?.needs_layer && !method.slow && (modelSetting("against", model) === "" || method.contrast);
  };
  return shownMethods().find(usable) ?? session.defaults.method;
}

/**
 * Draw the map of each layer. Those that are not in memory are requested one after another, after the large maps: a
 * click never waits for the whole strip.
 */
async function fillStrip(strip, wanted) {
  strip.abort?.abort();
  const abort = new AbortController();
  strip.abort = abort;
  const keptOf = (parameters) => mapCache.get(JSON.stringify(parameters));
  for (const parameters of wanted) {
    if (keptOf(parameters)) paintThumb(strip, parameters.layer, keptOf(parameters));
    else buttonOf(strip, parameters.layer).classList.add("stale"); // the map of another class or method
  }
  const missing = wanted.filter((parameters) => !keptOf(parameters));
  for (const parameters of missing) {
    await Promise.allSettled([...panels.values()].map((panel) => panel.loading));
    if (abort.signal.aborted || mapsAreSlow(strip)) return;
    try {
      const answer = keptOf(parameters) ?? await fetchMap(parameters, abort.signal);
      if (!abort.signal.aborted) paintThumb(strip, parameters.layer, answer);
    } catch (error) {
      if (error.name === "AbortError") return;
      strip.key = null; // requested again with the next change
      if (error.unreachable) return;
    }
  }
}

/** Return whether the maps of the layers would take too long: a signal or a volume may have many windows. */
function mapsAreSlow(strip) {
  const answers = [...strip.answers.values(), ...[...panels.values()].map((panel) => panel.answer)];
  return session.rank !== 2 && answers.some((answer) => answer?.milliseconds > slowMap);
}

function paintThumb(strip, path, answer) {
  strip.answers.set(path, answer);
  const button = buttonOf(strip, path);
  const canvas = button.querySelector("canvas");
  showPicture(button.querySelector("img"), answer);
  const ratio = answer.slice?.aspect ?? answer.map.width / answer.map.height;
  const scale = thumbSide / Math.max(ratio, 1);
  [canvas.width, canvas.height] = [Math.ceil(scale * ratio), Math.ceil(scale)];
  canvas.style.objectFit = session.rank === 1 ? "fill" : "";
  if (!answer.is_zero) drawMap(canvas, answer.map, { colors: currentLook().colors, opacity: 0.8 });
  button.querySelector(".quiet").textContent = answer.is_zero ? "zero" : button.dataset.size;
  button.classList.remove("stale");
}

/** Show the photo without maps while those of another image are computed. */
function clearThumbs(strip) {
  strip.image = view.image;
  strip.answers.clear();
  for (const button of strip.list.querySelectorAll("button")) {
    button.querySelector("canvas").width = 0;
    showPicture(button.querySelector("img"), null);
    button.querySelector(".quiet").textContent = button.dataset.size;
  }
}

/** Color the small maps of a strip. */
function paintStrip(strip) {
  strip.cmap = currentLook().cmap;
  for (const [path, answer] of strip.answers) paintThumb(strip, path, answer);
}

const buttonOf = (strip, path) => [...strip.list.querySelectorAll("button")]
  .find((button) => button.dataset.layer === path);

/** Make the short name of a layer, which may wrap after an underscore. */
function layerName(name) {
  const parts = cutMiddle(name, 22).split(/(?<=_)/).flatMap((part) => [part, make("wbr")]);
  return make("span", { class: "layer-name", "aria-hidden": "true" }, ...parts);
}

function makeLayerButton(model, path) {
  const layer = model.layers.find((candidate) => candidate.path === path);
  const name = path.slice(path.lastIndexOf("/") + 1);
  const photo = make("img", { alt: "" });
  const frame = make("span", { class: "thumb" }, photo, make("canvas", { "aria-hidden": "true" }));
  photo.addEventListener("load", () => {
    frame.style.aspectRatio = `${photo.naturalWidth} / ${photo.naturalHeight}`;
  });
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
    if (chosen && changed) scrollWithin(strip.list, button);
  }
}

/** Choose the layer before or after in the strip of the first model that has one there. */
function stepLayer(by) {
  for (const model of session.models) {
    const layers = model.strip;
    const paths = model.layers.map((layer) => layer.path);
    const position = paths.indexOf(layerOf(model));
    const next = by < 0 ? layers.findLast((layer) => paths.indexOf(layer) < position)
      : layers.find((layer) => paths.indexOf(layer) > position);
    if (next) return show(forModel(model, { layer: next }));
  }
  return say(by < 0 ? "This is the first layer." : "This is the last layer.");
}
