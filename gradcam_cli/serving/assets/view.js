// What the page shows, kept in the fragment of the address: reload, back and several tabs work by themselves.
// `from` and `find` are the page and the search of the list of images. Settings of one model have its id as suffix:
// class.m0, against.m0, layer.m0, t.m0. `axis` and `slice` name the slice or frame; without `slice`, each picture shows
// that of the highest value of its map.

const viewDefaults = {
  image: "", from: "", find: "", methods: "", opacity: "", cmap: "", contours: "", constant: "",
  axis: "", slice: "",
};
const modelSettings = ["class", "against", "layer", "t"];
let view = parseView();

function parseView() {
  const parsed = { ...viewDefaults };
  for (const [key, value] of new URLSearchParams(location.hash.slice(1))) {
    if (key in viewDefaults || modelSettings.includes(key.split(".")[0])) parsed[key] = value;
  }
  return parsed;
}

/** Return a setting of a model, or "". */
const modelSetting = (name, model) => view[`${name}.${model.id}`] ?? "";

/** Return changes of the settings of a model, for `show`. */
const forModel = (model, changes) => Object.fromEntries(
  Object.entries(changes).map(([name, value]) => [`${name}.${model.id}`, String(value)]),
);

function viewAddress() {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(view)) {
    if (value !== (viewDefaults[key] ?? "")) parameters.set(key, value);
  }
  return `#${parameters}`;
}

let editedSetting = ""; // successive moves of one slider make one entry of the history
let addressTimer = 0; // browsers limit the rate of changes of the address

/** Change what is shown. `slider` names a control that changes continuously. */
function show(changes, slider = "") {
  const sameSlider = slider !== "" && slider === editedSetting;
  if (!sameSlider) writeAddress();
  view = { ...view, ...changes };
  editedSetting = slider;
  if (sameSlider) {
    clearTimeout(addressTimer);
    addressTimer = setTimeout(writeAddress, 300);
  } else if (viewAddress() !== (location.hash || "#")) {
    history.pushState(null, "", viewAddress());
  }
  draw();
}

/** Change what is shown without a new entry of the history. */
function replaceView(changes) {
  view = { ...view, ...changes };
  history.replaceState(null, "", viewAddress());
  draw();
}

function writeAddress() {
  if (!addressTimer) return;
  clearTimeout(addressTimer);
  addressTimer = 0;
  history.replaceState(null, "", viewAddress());
}

function followAddress() {
  clearTimeout(addressTimer);
  addressTimer = 0;
  editedSetting = "";
  view = parseView();
  draw();
}
