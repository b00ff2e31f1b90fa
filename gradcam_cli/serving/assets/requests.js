// Maps of the server: one request at a time for each picture, and answers kept for going back.

const keptMaps = 160;
const mapCache = new Map(); // key -> answer, the last used at the end
const allowedSlowMaps = new Set(); // keys whose computation was requested
const seenClasses = new Map(); // "model image index" -> class of an answer

/** Return the parameters of a map, as the server takes them. */
function mapParameters(model, methodName, layer = layerOf(model)) {
  const needsLayer = methodOf(model, methodName)?.needs_layer ?? true;
  return {
    model: model.id,
    image: view.image,
    layer: needsLayer ? layer : "",
    method: methodName,
    class: modelSetting("class", model),
    against: modelSetting("against", model),
    t: hasDepth(model, methodName, layer) ? String(model.depth.times[depthIndex(model)]) : "",
    ...(session.rank === 3 ? { axis: view.axis, slice: view.slice } : {}),
  };
}

/** Return the answer for some parameters with its numbers decoded; it is kept. */
async function fetchMap(parameters, signal) {
  const [answer] = await Promise.all([
    requestJson("map", parameters, { signal }), predictionsOf({ id: parameters.model }, parameters.image),
  ]);
  const kept = { ...answer, map: decodeMap({ ...answer, limit: answer.limit || 1 }) };
  keepMap(JSON.stringify(parameters), kept);
  seenClasses.set(`${parameters.model} ${parameters.image} ${answer.class.index}`, answer.class);
  for (const { index, name } of [answer.class, ...(answer.against ?? [])]) {
    classNames.set(`${parameters.model} ${index}`, name);
  }
  return kept;
}

function keepMap(key, answer) {
  mapCache.delete(key);
  mapCache.set(key, answer);
  if (mapCache.size > keptMaps) mapCache.delete(mapCache.keys().next().value);
}

const answeredClass = (model, index) => seenClasses.get(`${model.id} ${view.image} ${index}`);

/** Return whether two keys of maps differ at most in what a slider sets: the depth t, or the slice. */
function sameButSlider(first, second) {
  const withoutDepth = (key) => JSON.stringify({ ...JSON.parse(key), t: "", slice: "" });
  return first && second && withoutDepth(first) === withoutDepth(second);
}

/** Return the key of a map without its slice: all slices are computed at once. */
const wholeMap = (key) => JSON.stringify({ ...JSON.parse(key), axis: undefined, slice: undefined });
