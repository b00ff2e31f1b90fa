// True and predicted classes: the filters of the gallery, and the texts of cards and of the view of one image.

const truthTexts = {
  right: "✓ right", wrong: "✗ wrong", unknown: "? true class unknown", mended: "↑ mended", broken: "↓ broken",
};
const truthClasses = new Set();

function prepareTruth() {
  for (const entry of report.entries) {
    entry.truth ??= null;
    for (const name of [entry.truth?.true, entry.truth?.predicted]) if (name) truthClasses.add(name);
  }
  if (!byId("truth")) return;
  const options = [...truthClasses].sort(naturalOrder.compare).slice(0, maxListedClasses)
    .map((name) => make("option", { value: name }));
  for (const id of ["true", "predicted"]) {
    byId(id).addEventListener("focus", () => byId("truths").replaceChildren(...options));
    byId(id).addEventListener("blur", () => byId("truths").replaceChildren());
    byId(id).addEventListener("input", () => go({ [id]: byId(id).value, page: "1" }, id));
  }
  byId("truth").addEventListener("change", () => go({ truth: byId("truth").value, page: "1" }));
}

function makeTruthFilter() {
  const tests = [];
  if (state.truth !== "all") tests.push((truth) => truth?.state === state.truth);
  for (const key of ["true", "predicted"]) {
    const text = state[key].trim().toLowerCase();
    if (truthClasses.has(state[key])) tests.push((truth) => truth?.[key] === state[key]);
    else if (text) tests.push((truth) => (truth?.[key] ?? "").toLowerCase().includes(text));
  }
  return (entry) => tests.every((test) => test(entry.truth));
}

/** Return whether the prediction of an entry is right, for its card: the true class if it is another one. */
function truthText({ truth }) {
  if (!truth) return [];
  const wrong = truth.true !== null && truth.true !== truth.predicted;
  return [wrong ? `${truthTexts[truth.state]}: ${truth.true}` : truthTexts[truth.state]];
}

function makeTruthNotice({ truth }) {
  if (!truth) return [];
  const text = truthTexts[truth.state];
  const head = make("strong", {}, `${text.slice(0, 2)}${text[2].toUpperCase()}${text.slice(3)}. `);
  if (truth.true === null) return [make("p", { class: "notice" }, head, makeText("span", truth.unknown ?? ""))];
  const numbers = [
    typeof truth.probability === "number" ? formatPercent(truth.probability) : null,
    truth.rank > 1 ? `rank ${truth.rank}` : null,
  ].filter(Boolean);
  const right = truth.true === truth.predicted;
  const predicted = right ? [] : ["Predicted: ", makeText("bdi", truth.predicted), ". "];
  return [make("p", { class: `notice ${right ? "good" : "bad"}` }, head, ...predicted, "True class: ",
    makeText("bdi", truth.true), numbers.length ? ` (${numbers.join(", ")}).` : ".")];
}
