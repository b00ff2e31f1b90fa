// The session: models and layers, and the methods that are shown.

const maxMethods = 6; // pictures of one model side by side
let session = null; // after the answer
const sessionAnswer = requestJson("session");

/** Return the names of the chosen methods, in the order of the list. */
function shownMethods() {
  const chosen = view.methods.split(",");
  const names = allMethods().map((method) => method.name).filter((name) => chosen.includes(name));
  return names.length ? names.slice(0, maxMethods) : [session.defaults.method];
}

/** Return the methods of all models, each once. */
function allMethods() {
  const methods = new Map();
  for (const model of session.models) {
    for (const method of model.methods) if (!methods.has(method.name)) methods.set(method.name, method);
  }
  return [...methods.values()];
}

const methodOf = (model, name) => model.methods.find((method) => method.name === name);

/** Return the chosen layer of a model, or its default. */
function layerOf(model) {
  const chosen = modelSetting("layer", model);
  if (model.layers.some((layer) => layer.path === chosen)) return chosen;
  return (model.layers.find((layer) => layer.default) ?? model.layers.at(-1)).path;
}

/** Return whether a method has maps along the depth t of a Neural ODE, for what is chosen. */
function hasDepth(model, methodName, layer = layerOf(model)) {
  const method = methodOf(model, methodName);
  if (!model.depth || !method?.depth || modelSetting("against", model) !== "") return false;
  return method.kind === "depth" || layer === model.depth.layer;
}

/** Return the position of the chosen depth among the depths of a model; by default the last. */
function depthIndex(model) {
  const { times } = model.depth;
  const index = times.indexOf(Number(modelSetting("t", model)));
  return modelSetting("t", model) === "" || index === -1 ? times.length - 1 : index;
}
