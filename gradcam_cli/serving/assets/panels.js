// The pictures: one for each model and method, with the map over the photo, and in words what it shows.

const panels = new Map(); // "model method" -> panel
const busyDelay = 250; // milliseconds after which a computation shows

function drawPanels() {
  const wanted = shownMethods().flatMap((method) => session.models.map((model) => panelOf(model, method)));
  for (const [id, panel] of panels) {
    if (wanted.includes(panel)) continue;
    panel.abort?.abort();
    panels.delete(id);
  }
  const grid = byId("panels");
  const elements = wanted.map((panel) => panel.element);
  const sameOrder = elements.every((element, index) => grid.children[index] === element);
  if (!sameOrder || elements.length !== grid.childElementCount) grid.replaceChildren(...elements);
  const columns = session.models.length > 1 ? Math.min(session.models.length, 3) : columnsFor(elements.length);
  grid.dataset.columns = columns;
  grid.dataset.rows = Math.ceil(elements.length / columns);
  for (const panel of wanted) updatePanel(panel);
}

/** Return the panel of a model and a method; a new one if there is none. */
function panelOf(model, method) {
  const id = `${model.id} ${method}`;
  if (!panels.has(id)) panels.set(id, makePanel(model, method));
  return panels.get(id);
}

const columnsFor = (count) => (count === 1 ? 1 : count === 2 || count === 4 ? 2 : 3);

function makePanel(model, method) {
  const photo = make("img", { class: "photo", alt: "" });
  const canvas = make("canvas", { class: "map", "aria-hidden": "true" });
  const pointer = make("span", { class: "pointer", "aria-hidden": "true", hidden: "" });
  const message = make("div", { class: "message", hidden: "" });
  const keyboard = { tabindex: "0", role: "application", "aria-roledescription": "picture" };
  const frame = make("div", { class: "frame", ...keyboard }, photo, canvas, pointer);
  const caption = make("p", { class: "caption" }, makeText("b", "\u00a0"), makeText("span", ""));
  const readout = make("p", { class: "readout" }, "\u00a0");
  const notice = make("p", { class: "notice", role: "note", hidden: "" });
  const stage = make("div", { class: "stage" }, session.rank === 1 ? layOutSignal(frame) : frame, message);
  const element = make("figure", { class: "panel" }, stage,
    make("figcaption", {}, caption, readout), notice);
  const parts = { element, frame, photo, canvas, pointer, message, caption, readout, notice };
  const panel = { model, method, ...parts, key: null, answer: null, abort: null };
  photo.addEventListener("load", () => {
    frame.style.setProperty("--width", photo.naturalWidth);
    frame.style.setProperty("--height", photo.naturalHeight);
    frame.classList.toggle("small", Math.max(photo.naturalWidth, photo.naturalHeight) <= 128);
  });
  new ResizeObserver(() => paintPanel(panel, currentLook())).observe(frame);
  preparePointer(panel);
  return panel;
}

/** Show the map that the view asks for: from memory, from the server, or why there is none. */
function updatePanel(panel) {
  const parameters = mapParameters(panel.model, panel.method);
  const key = JSON.stringify(parameters);
  if (panel.key === key) return;
  if (panel.image !== view.image) showPhoto(panel);
  else if (!panel.answer || view.slice !== "") showPicture(panel.photo, null);
  const scrubbing = sameButSlider(panel.key, key);
  panel.key = key;
  const refused = refusalOf(panel);
  if (refused || (isSlow(panel) && !mapCache.has(key) && !allowedSlowMaps.has(wholeMap(key)))) {
    panel.abort?.abort();
    showAnswer(panel, null);
    if (refused) showMessage(panel, make("p", {}, refused));
    else offerComputation(panel, key);
  } else if (mapCache.has(key)) {
    panel.abort?.abort();
    showAnswer(panel, mapCache.get(key));
  } else if (!panel.abort || !scrubbing) {
    loadPanel(panel, parameters, key);
  }
}

function showPhoto(panel) {
  panel.image = view.image;
  showAnswer(panel, null);
}

const isSlow = (panel) => methodOf(panel.model, panel.method)?.slow;

/** Return why there is no map, in words, or "". */
function refusalOf(panel) {
  const method = methodOf(panel.model, panel.method);
  if (!method) return `${panel.method} is not defined for this model.`;
  const contrasted = modelSetting("against", panel.model) !== "";
  return contrasted && !method.contrast ? `${panel.method} shows one class; it cannot contrast two.` : "";
}

function offerComputation(panel, key) {
  const button = make("button", { type: "button" }, "Compute");
  button.addEventListener("click", () => {
    allowedSlowMaps.add(wholeMap(key));
    panel.key = null;
    updatePanel(panel);
    panel.frame.focus();
  });
  showMessage(panel, make("p", {}, `${panel.method} takes ${methodOf(panel.model, panel.method).cost}.`), button);
}

/** Request a map. While the depth t or the slice is dragged, the next request waits for the answer of the last. */
async function loadPanel(panel, parameters, key) {
  panel.abort?.abort();
  const abort = new AbortController();
  panel.abort = abort;
  showMessage(panel);
  const busy = setInterval(() => showBusy(panel, key), busyDelay);
  panel.started = Date.now();
  try {
    const answer = await (panel.loading = fetchMap(parameters, abort.signal));
    if (panel.key === key || (panel.abort === abort && sameButSlider(panel.key, key))) showAnswer(panel, answer, key);
  } catch (error) {
    if (panel.key === key && panel.abort === abort) showFailure(panel, error);
  } finally {
    clearInterval(busy);
    if (panel.abort === abort) {
      panel.abort = null;
      panel.element.removeAttribute("aria-busy");
      if (panel.key !== null && panel.key !== key) continuePanel(panel);
    }
  }
}

/** Request what the view asks for now, after the answer of an earlier request. */
function continuePanel(panel) {
  panel.key = null;
  updatePanel(panel);
}

function showBusy(panel, key) {
  panel.element.setAttribute("aria-busy", "true");
  const seconds = Math.round((Date.now() - panel.started) / 1000);
  if (panel.key !== key || seconds < 1) return;
  if (panel.message.dataset.busy === key) {
    panel.message.firstElementChild.textContent = `Computing, ${seconds} s …`;
    return;
  }
  const text = make("p", {}, `Computing, ${seconds} s …`);
  const button = make("button", { type: "button" }, "Cancel");
  button.addEventListener("click", () => {
    allowedSlowMaps.delete(wholeMap(key));
    panel.key = null;
    updatePanel(panel);
  });
  showMessage(panel, text, ...(isSlow(panel) ? [button] : []));
  panel.message.dataset.busy = key;
}

function showFailure(panel, error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof ServerError)) throw error;
  showAnswer(panel, null);
  const button = make("button", { type: "button" }, "Try again");
  button.addEventListener("click", () => continuePanel(panel));
  const hint = error.hint ? [makeText("p", error.hint)] : [];
  showMessage(panel, makeText("p", error.message), ...hint, button);
  panel.failed = true;
}

function showMessage(panel, ...content) {
  panel.failed = false;
  delete panel.message.dataset.busy;
  panel.message.replaceChildren(...content);
  panel.message.hidden = !content.length;
}

/** Request again what failed, when the server is there again. */
function retryAll() {
  for (const panel of panels.values()) if (panel.failed) panel.key = null;
  listImages(imageOffset);
  draw();
}

function showAnswer(panel, answer, key = panel.key) {
  panel.answer = answer;
  panel.shownKey = key;
  showMessage(panel);
  panel.element.removeAttribute("aria-busy");
  showPicture(panel.photo, view.slice === "" ? answer : null);
  const [title, origin] = [answer ? titleOf(answer) : "", originOf(panel, answer)];
  panel.caption.firstElementChild.textContent = title || "\u00a0";
  panel.caption.lastElementChild.textContent = origin;
  panel.caption.lastElementChild.title = answer?.layer ?? "";
  const label = answer ? `Map: ${title}, ${origin}. Arrow keys move the pointer.` : `No map: ${origin}`;
  panel.frame.setAttribute("aria-label", label);
  panel.frame.toggleAttribute("data-empty", !answer);
  const notice = answer ? noticeOf(answer) : "";
  panel.notice.textContent = notice;
  panel.notice.hidden = !notice;
  drawReadout(panel);
  paintPanel(panel, currentLook());
  if (answer) onAnswer();
  drawSlices();
}

const parametersOf = (panel) => JSON.parse(panel.shownKey ?? panel.key);

const namedModel = (panel) => (session.models.length > 1 ? panel.model.name : "");

/** Return what a map explains: the class with its probability, and the class of the contrast. */
function titleOf(answer) {
  const rivals = (answer.against ?? []).map((one) => one.name).join(", ");
  const { name, probability } = answer.class;
  const value = typeof probability === "number" ? `, ${formatPercent(probability)}` : "";
  return rivals ? `${name} and not ${rivals}` : `${name}${value}`;
}

/** Return where a map comes from: model, method, layer, depth t, and slice. */
function originOf(panel, answer) {
  const layer = answer?.layer ? cutMiddle(answer.layer, 26) : "";
  const t = answer ? parametersOf(panel).t : "";
  const depth = t === "" ? "" : `t = ${formatNumber(Number(t))}`;
  return [namedModel(panel), panel.method, layer, depth, sliceText(answer)].filter(Boolean).join(" · ");
}

/** Return what has to be said about a map in words. */
function noticeOf(answer) {
  if (!answer.is_zero) return answer.note ?? "";
  return answer.note ? `The map is zero everywhere: ${answer.note}.` : "The map is zero everywhere.";
}

/** Draw the map of a panel at the size of its frame. */
function paintPanel(panel, look) {
  if (session.rank === 1) return paintSignal(panel, look);
  const { canvas, frame, answer } = panel;
  canvas.hidden = !answer || answer.is_zero || look.opacity === 0 && !look.contours.length;
  if (canvas.hidden) return;
  const scale = Math.min(devicePixelRatio, 1000 / Math.max(frame.clientWidth, frame.clientHeight, 1));
  const [width, height] = [Math.round(frame.clientWidth * scale), Math.round(frame.clientHeight * scale)];
  if (!width || !height) return;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  drawMap(canvas, answer.map, look);
}
