// The gallery: filters, sorting, and the cards of one page at a time, so that large reports stay responsive.

const pageSize = 48;
const maxListedClasses = 100; // classes that the class filter suggests
const maxPrinted = 2000; // cards of a print
const naturalOrder = new Intl.Collator("en", { numeric: true });
const statusFilters = {
  all: () => true,
  explained: (entry) => entry.status === "ok",
  failed: (entry) => entry.status === "failed",
  skipped: (entry) => entry.status === "skipped",
  zero: (entry) => entry.maps.some((map) => map.zero_reason),
  changed: (entry) => entry.metrics?.["class-change"] > 0,
  threshold: (entry) => entry.failed_thresholds.length > 0,
};
const filterFields = ["q", "class", "min", "max", "status", "truth", "true", "predicted", "sort", "order"];
const moreFields = ["class", "min", "max", "true", "predicted"]; // behind "More filters"
const classCounts = new Map();
const searchTexts = []; // of each entry: its name, and its predicted, true and explained classes
let matchingIndices = []; // indices of the entries that pass the filters, in display order
let matchingKey = null; // the filter values that `matchingIndices` belongs to
let printing = false; // a print has the cards of all pages

function prepareGallery() {
  for (const entry of report.entries) {
    entry.maps ??= [];
    entry.failed_thresholds ??= [];
    for (const name of classesOf(entry)) classCounts.set(name, (classCounts.get(name) ?? 0) + 1);
  }
  prepareTruth();
  prepareCards();
  prepareQuickFilters();
  for (const entry of report.entries) searchTexts.push(searchTextOf(entry));
  const frequent = [...classCounts].sort((first, second) => second[1] - first[1]).slice(0, maxListedClasses);
  const options = frequent.map(([name]) => make("option", { value: name }));
  byId("class").addEventListener("focus", () => byId("classes").replaceChildren(...options));
  byId("class").addEventListener("blur", () => byId("classes").replaceChildren()); // limits the number of nodes
  for (const id of ["q", "class", "min", "max"]) {
    byId(id).addEventListener("input", () => go({ [id]: byId(id).value, page: "1" }, id));
  }
  for (const id of ["status", "sort", "order"]) {
    byId(id).addEventListener("change", () => go({ [id]: byId(id).value, page: "1" }));
  }
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("reset", (event) => { event.preventDefault(); resetFilters(); });
  byId("print").addEventListener("click", printCards);
  addEventListener("beforeprint", () => setPrinting(true));
  addEventListener("afterprint", () => setPrinting(false));
  byId("show-all").addEventListener("click", () => { resetFilters(); byId("q").focus(); });
  byId("previous-page").addEventListener("click", () => showPage(currentPage() - 1));
  byId("next-page").addEventListener("click", () => showPage(currentPage() + 1));
  byId("page").addEventListener("change", () => showPage(Math.trunc(Number(byId("page").value))));
}

function resetFilters() {
  go(Object.fromEntries([...filterFields, "page"].map((key) => [key, defaults[key]])));
}

function showPage(page) {
  go({ page: String(Math.min(Math.max(page || 1, 1), pageCount())) });
  byId("gallery").scrollIntoView();
}

const pageCount = () => Math.max(1, Math.ceil(matches().length / pageSize));
const currentPage = () => Math.min(Math.max(Math.trunc(Number(state.page)) || 1, 1), pageCount());
const pageOf = (index) => String(Math.floor(Math.max(matches().indexOf(index), 0) / pageSize) + 1);

/** Return the indices of the entries that pass the filters, in the selected order. */
function matches() {
  const key = JSON.stringify(filterFields.map((field) => state[field]));
  if (key !== matchingKey) {
    const passes = makeFilter();
    matchingIndices = sortIndices([...report.entries.keys()]
      .filter((index) => passes(report.entries[index], index)));
    matchingKey = key;
  }
  return matchingIndices;
}

function makeFilter() {
  const text = state.q.trim().toLowerCase();
  const className = state.class.trim().toLowerCase();
  const hasClass = classCounts.has(state.class)
    ? (map) => map.class === state.class
    : (map) => (map.class ?? "").toLowerCase().includes(className);
  const hasProbability = makeRangeFilter(state.min, state.max);
  const anyMap = !className && state.min === "" && state.max === "";
  const hasTruth = makeTruthFilter();
  return (entry, index) => searchTexts[index].includes(text) && statusFilters[state.status](entry) && hasTruth(entry)
    && (anyMap || entry.maps.some((map) => hasClass(map) && hasProbability(map.probability)));
}

function searchTextOf(entry) {
  const predicted = [entry.predictions?.[0]?.[0], entry.truth?.predicted];
  const names = [entry.name, ...classesOf(entry), ...predicted, entry.truth?.true];
  return names.filter(Boolean).join("\n").toLowerCase();
}

/** Return the classes of an entry's maps, each once. */
const classesOf = (entry) => [...new Set(entry.maps.map((map) => map.class).filter(Boolean))];

function makeRangeFilter(minPercent, maxPercent) {
  if (minPercent === "" && maxPercent === "") return () => true;
  const min = minPercent === "" ? -Infinity : Number(minPercent) / 100;
  const max = maxPercent === "" ? Infinity : Number(maxPercent) / 100;
  return (probability) => typeof probability === "number" && probability >= min && probability <= max;
}

/** Sort indices by the selected value; entries without a value come last in both directions. */
function sortIndices(indices) {
  const sign = state.order === "descending" ? -1 : 1;
  if (state.sort === "run") return sign < 0 ? indices.reverse() : indices;
  const { entries } = report;
  if (state.sort === "name") {
    return indices.sort((a, b) => sign * naturalOrder.compare(entries[a].name, entries[b].name));
  }
  const values = indices.map((index) => sortValue(entries[index]));
  const hasValue = (position) => typeof values[position] === "number";
  const positions = [...indices.keys()].sort((a, b) => {
    if (hasValue(a) && hasValue(b)) return sign * (values[a] - values[b]);
    return Number(hasValue(b)) - Number(hasValue(a));
  });
  return positions.map((position) => indices[position]);
}

const sortMetric = () => (state.sort.startsWith("metric:") ? state.sort.slice("metric:".length) : null);

function sortValue(entry) {
  const metric = sortMetric();
  if (state.sort === "certainty") return certaintyOf(entry);
  return metric === null ? entry.probability : entry.metrics?.[metric];
}

/** Return the probability of the predicted class, or that of the explained class if the predictions are not known. */
const certaintyOf = (entry) => entry.predictions?.[0]?.[1] ?? entry.probability ?? null;

function drawGallery() {
  for (const key of filterFields.filter(byId)) {
    if (byId(key).value !== state[key]) byId(key).value = state[key];
  }
  if (moreFields.some((key) => state[key] !== defaults[key])) byId("more").open = true;
  drawQuickFilters();
  const indices = matches();
  const first = printing ? 0 : (currentPage() - 1) * pageSize;
  const onPage = indices.slice(first, first + (printing ? maxPrinted : pageSize));
  byId("cards").replaceChildren(...onPage.map(makeCard));
  byId("empty").hidden = indices.length > 0;
  byId("count").textContent = countText(indices.length, first, onPage.length);
  byId("common").replaceChildren(commonText());
  byId("print").hidden = indices.length === 0;
  byId("pager").hidden = pageCount() === 1;
  byId("page").value = currentPage();
  byId("page").max = pageCount();
  byId("pages").textContent = `of ${pageCount()}`;
  byId("previous-page").disabled = currentPage() === 1;
  byId("next-page").disabled = currentPage() === pageCount();
}

function countText(matching, first, onPage) {
  const total = report.entries.length;
  const text = matching < total ? `${matching} of ${total} inputs` : `${total} ${total === 1 ? "input" : "inputs"}`;
  return onPage < matching ? `${text}, ${first + 1} to ${first + onPage} shown` : text;
}

/** Draw the cards of all pages for a print, or those of one page again. */
function setPrinting(value) {
  if (printing === value || document.body.dataset.view !== "gallery") return;
  printing = value;
  drawGallery();
}

/** Print the cards of the filter when all their images are loaded. */
async function printCards() {
  setPrinting(true);
  await Promise.allSettled([...byId("cards").querySelectorAll("img")].map((image) => image.decode()));
  print();
}
