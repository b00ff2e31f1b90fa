// What each model predicts: bars to click, a search over all classes, and the contrast with another class.

const numPredictions = 5;
const predictionCache = new Map(); // "model image" -> answer or promise
const inputs = new Map(); // image -> its kind, size, spacing and values
const classNames = new Map(); // "model index" -> name, of classes that were seen
const modelCards = new Map(); // model id -> elements

function makeModelCard(model) {
  const bars = make("ol", { class: "bars", role: "list", "aria-label": `Predictions of ${model.name}` });
  const note = make("p", { class: "quiet" });
  const contrast = make("p", { class: "contrast" }, "Why this class and not");
  const noContrast = { type: "button", class: "plain", "aria-label": "No contrast", title: "No contrast", hidden: "" };
  const clear = make("button", noContrast, "×");
  clear.addEventListener("click", () => show(forModel(model, { against: "" })));
  const heading = make("h2", {}, makeText("span", model.name), make("span", { class: "hidden" }, ": predictions"));
  const search = makeClassSearch(model, `Find a class of ${model.name}`, "Find another class",
    (found) => chooseFor(model, "class", found));
  const against = makeClassSearch(model, `Contrast with a class of ${model.name}`, "choose a class",
    (found) => chooseFor(model, "against", found), () => rivalsOf(model));
  const why = make("div", { class: "why" }, make("div", { class: "contrast-line" }, contrast, clear), against);
  const label = `Classes of ${model.name}`;
  const card = make("section", { class: "card", "aria-label": label }, heading, note, bars, search, why);
  byId("models").append(card);
  modelCards.set(model.id, { bars, note, contrast, clear, shown: null });
}

/** Return the predicted classes of a model except the explained one. */
function rivalsOf(model) {
  const { predictions = [] } = modelCards.get(model.id);
  return predictions.filter((row) => row.index !== explainedIndex(model, predictions));
}

/** Return changes for a chosen class: a class has no contrast with itself. */
function changesFor(model, setting, index) {
  const { predictions = [] } = modelCards.get(model.id);
  const against = Number(modelSetting("against", model) || NaN);
  const chosen = setting === "class" ? against : explainedIndex(model, predictions);
  if (chosen !== index) return forModel(model, { [setting]: index });
  return setting === "class" ? forModel(model, { class: index, against: "" }) : {};
}

/** Choose a class of a model, and the class of the same name of the other models. */
async function chooseFor(model, setting, found) {
  const changes = changesFor(model, setting, found.index);
  classNames.set(`${model.id} ${found.index}`, found.name);
  for (const other of session.models.filter((candidate) => candidate !== model)) {
    const same = await classOfName(other, found.name);
    if (same) Object.assign(changes, changesFor(other, setting, same.index));
  }
  show(changes);
}

async function classOfName(model, name) {
  try {
    const { classes } = await requestJson("classes", { model: model.id, query: name, limit: 50 });
    const same = classes.find((candidate) => candidate.name === name) ?? null;
    if (same) classNames.set(`${model.id} ${same.index}`, same.name);
    return same;
  } catch (error) {
    sayError(error);
    return null;
  }
}

/** Return the predictions of a model for an image; an answer is kept, a failure is not. */
function predictionsOf(model, image) {
  const key = `${model.id} ${image}`;
  if (!predictionCache.has(key)) {
    const answer = requestJson("predictions", { model: model.id, image, top: numPredictions });
    answer.then(({ image: input }) => {
      inputs.set(image, input);
      drawInput();
    }, () => predictionCache.delete(key));
    predictionCache.set(key, answer);
  }
  return predictionCache.get(key);
}

function drawModelCards() {
  for (const model of session.models) drawModelCard(model, modelCards.get(model.id));
}

async function drawModelCard(model, cardOf) {
  const { image } = view;
  try {
    const answer = await predictionsOf(model, image);
    if (image !== view.image) return; // another image was opened meanwhile
    cardOf.predictions = answer.predictions;
    drawBars(model, cardOf, answer.predictions);
    drawContrast(model, cardOf, answer.predictions);
    cardOf.note.textContent = "";
  } catch (error) {
    if (image !== view.image) return;
    cardOf.bars.replaceChildren();
    cardOf.shown = null;
    cardOf.note.textContent = [error.message, error.hint].filter(Boolean).join(" ");
  }
}

/** Return the index of the class that a model explains. */
const explainedIndex = (model, predictions) => (modelSetting("class", model) === ""
  ? predictions[0]?.index : Number(modelSetting("class", model)));

function drawBars(model, cardOf, predictions) {
  const explained = explainedIndex(model, predictions);
  const rows = [...predictions];
  if (!rows.some((row) => row.index === explained)) rows.push(otherClass(model, explained));
  const content = JSON.stringify([view.image, rows]);
  if (cardOf.shown !== content) {
    const focused = cardOf.bars.contains(document.activeElement) ? document.activeElement.dataset.index : null;
    cardOf.bars.replaceChildren(...rows.map((row) => makeBar(model, row)));
    cardOf.bars.querySelector(`[data-index="${focused}"]`)?.focus();
    cardOf.shown = content;
  }
  for (const button of cardOf.bars.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.index) === explained));
  }
}

/** Return a class that is not among the predictions: its name and probability come with its map. */
function otherClass(model, index) {
  return answeredClass(model, index) ?? { index, name: nameOfClass(model, index), probability: null };
}

const nameOfClass = (model, index) => classNames.get(`${model.id} ${index}`) ?? `class ${index}`;

function makeBar(model, row) {
  classNames.set(`${model.id} ${row.index}`, row.name);
  const bar = make("span", { class: "probability-bar", "aria-hidden": "true" });
  bar.style.setProperty("--fraction", Math.min(Math.max(row.probability ?? 0, 0), 1));
  const value = typeof row.probability === "number" ? formatPercent(row.probability) : formatNumber(row.score);
  const button = make("button", { type: "button", "data-index": row.index },
    makeText("span", row.name, { class: "bar-name" }), make("span", { class: "value" }, value), bar);
  button.addEventListener("click", () => chooseFor(model, "class", row));
  return make("li", {}, button);
}

function drawContrast(model, cardOf, predictions) {
  const nameOf = (index) => makeText("b", nameOfClass(model, index));
  const explained = nameOf(explainedIndex(model, predictions));
  const against = modelSetting("against", model);
  cardOf.clear.hidden = against === "";
  const rival = against === "" ? [] : [" ", nameOf(against), "?"];
  cardOf.contrast.replaceChildren("Why ", explained, " and not", ...rival);
}
