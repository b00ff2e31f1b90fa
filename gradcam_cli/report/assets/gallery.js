// The gallery: filters, sorting, and the cards of one page at a time, so that large reports stay responsive.

const pageSize = 48;
const maxPrinted = 480; // cards on paper, where all pages follow each other
const maxListedClasses = 100; // classes that the class filter suggests
const naturalOrder = new Intl.Collator("en", { numeric: true });
const statusFilters = {
  all: () => true,
  completed: (entry) => entry.status === "ok",
  failed: (entry) => entry.status === "failed",
  skipped: (entry) => entry.status === "skipped",
  zero: (entry) => entry.maps.some((map) => map.zero_reason),
  changed: (entry) => entry.maps.some((map) => map.metrics?.["class-change"] > 0),
  threshold: (entry) => entry.failed_thresholds.length > 0,
};
const filterFields = ["q", "class", "min", "max", "status", "sort", "order"];
const classCounts = new Map();
let printing = false;
let matchingIndices = []; // indices of the entries that pass the filters, in display order
let matchingKey = null; // the filter values that `matchingIndices` belongs to

function prepareGallery() {
  for (const entry of report.entries) {
    entry.maps ??= [];
    entry.failed_thresholds ??= [];
    for (const name of classNames(entry)) classCounts.set(name, (classCounts.get(name) ?? 0) + 1);
  }
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
  byId("show-all").addEventListener("click", () => { resetFilters(); byId("q").focus(); });
  byId("previous-page").addEventListener("click", () => showPage(currentPage() - 1));
  byId("next-page").addEventListener("click", () => showPage(currentPage() + 1));
  byId("page").addEventListener("change", () => showPage(Math.trunc(Number(byId("page").value))));
}

/** Return the classes that an entry's maps explain, each with its probability. */
const explainedClasses = (entry) => entry.maps.map((map) => [map.class, map.probability]);

/** Return the explained and the predicted classes of an entry, each with its probability. */
const allClasses = (entry) => [...explainedClasses(entry), ...(entry.predictions ?? [])];

const classNames = (entry) => new Set(allClasses(entry).map(([name]) => name));

function resetFilters() {
  go(Object.fromEntries([...filterFields, "page"].map((key) => [key, defaults[key]])));
}

function showPage(page) {
  go({ page: String(Math.min(Math.max(page || 1, 1), pageCount())) });
  byId("gallery").scrollIntoView();
}

const pageCount = () => Math.max(1, Math.ceil(matches().length / pageSize));
const currentPage = () => printing ? 1 : Math.min(Math.max(Math.trunc(Number(state.page)) || 1, 1), pageCount());
const pageOf = (index) => String(Math.floor(Math.max(matches().indexOf(index), 0) / pageSize) + 1);

/** Return the indices of the entries that pass the filters, in the selected order. */
function matches() {
  const key = JSON.stringify(filterFields.map((field) => state[field]));
  if (key !== matchingKey) {
    const passes = makeFilter();
    matchingIndices = sortIndices([...report.entries.keys()].filter((index) => passes(report.entries[index])));
    matchingKey = key;
  }
  return matchingIndices;
}

function makeFilter() {
  const text = state.q.trim().toLowerCase();
  const hasClass = makeClassFilter();
  return (entry) => statusFilters[state.status](entry) && hasText(entry, text) && hasClass(entry);
}

/** Return whether the name, or a class, layer or method of an entry contains a text in lower case. */
function hasText(entry, text) {
  const words = (map) => [map.layer, map.method];
  return [entry.name, ...classNames(entry), ...entry.maps.flatMap(words)].some((word) => (word ?? "").toLowerCase().includes(text));
}

/** Filter by class and probability: of the same class, which is explained or, if its name is given, predicted. */
function makeClassFilter() {
  if (!filtersClasses()) return () => true;
  return (entry) => (state.class.trim() ? allClasses : explainedClasses)(entry).some(matchesClass);
}

const filtersClasses = () => [state.class.trim(), state.min, state.max].some((value) => value !== "");

/** Return whether a class has the name and the probability of the filters. */
function matchesClass([name, probability]) {
  const given = state.class.trim().toLowerCase();
  const hasName = classCounts.has(state.class) ? name === state.class : (name ?? "").toLowerCase().includes(given);
  return hasName && inRange(probability);
}

function inRange(probability) {
  if (state.min === "" && state.max === "") return true;
  const min = state.min === "" ? -Infinity : Number(state.min) / 100;
  const max = state.max === "" ? Infinity : Number(state.max) / 100;
  return typeof probability === "number" && probability >= min && probability <= max;
}

/** Return the map on the card of an entry: the first one with the class of the filters. */
function cardMap(entry) {
  const matching = filtersClasses() ? entry.maps.find((map) => matchesClass([map.class, map.probability])) : null;
  return matching ?? entry.maps[0];
}

/** Return the maps on the card of an entry: in a comparison, those before and after. */
const cardMaps = (entry) => (entry.maps.length ? comparedMaps(entry, cardMap(entry)) : []);

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
  if (metric === null) return cardMap(entry)?.probability;
  const maps = [cardMap(entry), ...entry.maps].filter((map) => map && metric in (map.metrics ?? {}));
  return maps[0]?.metrics[metric];
}

function drawGallery() {
  for (const key of filterFields) {
    if (byId(key).value !== state[key]) byId(key).value = state[key];
  }
  const indices = matches();
  const first = (currentPage() - 1) * pageSize;
  const onPage = indices.slice(first, first + (printing ? maxPrinted : pageSize));
  byId("cards").replaceChildren(...onPage.map(makeCard));
  preloadThumbnails();
  byId("cards").classList.toggle("pairs", report.command === "compare");
  byId("gallery-scale").replaceChildren(...makeScale(report.entries.find((entry) => entry.maps.length)?.maps[0]));
  byId("empty").hidden = indices.length > 0;
  byId("count").textContent = countText(indices.length, first, onPage.length);
  byId("pager").hidden = pageCount() === 1;
  byId("page").value = currentPage();
  byId("page").max = pageCount();
  byId("pages").textContent = `of ${pageCount()}`;
  byId("previous-page").disabled = currentPage() === 1;
  byId("next-page").disabled = currentPage() === pageCount();
}

let preloaded = []; // images that are loaded before the page is printed, since a browser does not wait for them then

/** When the browser is idle, load the thumbnails of the cards that are printed. */
function preloadThumbnails() {
  if (pageCount() === 1 || printing) return;
  const load = () => {
    preloaded = matches().slice(0, maxPrinted).flatMap((index) => cardMaps(report.entries[index]))
      .filter((map) => map.thumbnail).map((map) => Object.assign(new Image(), { src: map.thumbnail }));
  };
  if (window.requestIdleCallback) requestIdleCallback(load);
  else setTimeout(load, 200);
}

function countText(matching, first, onPage) {
  const total = report.entries.length;
  const text = matching < total ? `${matching} of ${total} inputs` : `${total} ${total === 1 ? "input" : "inputs"}`;
  return onPage < matching ? `${text}, ${first + 1} to ${first + onPage} shown` : text;
}

function makeCard(index) {
  const entry = report.entries[index];
  const maps = cardMaps(entry);
  const number = entry.maps.indexOf(maps[0]) + 1 || 1;
  const card = make("a", { href: link({ entry: String(index + 1), map: String(number) }), "data-status": cardStatus(entry) },
    make("span", { class: "thumbnails" }, ...makeThumbnails(entry, maps)),
    make("bdi", { class: "name", title: entry.name }, ...wrappableName(entry.name)),
    ...maps.map((map) => makeClassLine(map.run, map.class, map.probability)),
    ...predictedMatch(entry).map(([name, probability]) => makeClassLine("predicted", name, probability)));
  const status = statusText(entry, entry.maps.length - maps.length);
  if (status) card.append(make("span", { class: "status" }, status));
  return make("li", {}, card);
}

function makeThumbnails(entry, maps) {
  const symbol = () => make("span", { class: "thumbnail", "aria-hidden": "true" }, entry.status === "failed" ? "✗" : "–");
  const image = (map) => map.thumbnail ? make("img", { src: map.thumbnail, alt: "", width: 200, height: 200 }) : symbol();
  return maps.length ? maps.map(image) : [symbol()];
}

/** Make a line with a class and its probability; the class is shortened if it is long. */
function makeClassLine(prefix, name, probability) {
  return make("span", { class: "class" }, prefix ? make("span", { class: "prefix" }, `${prefix} `) : null,
    make("bdi", { title: name ?? "" }, name ?? ""),
    typeof probability === "number" ? make("span", { class: "probability" }, ` ${formatPercent(probability)}`) : null);
}

/** Return the predicted class that matches the filters, if no map of the entry explains one. */
function predictedMatch(entry) {
  if (!state.class.trim() || explainedClasses(entry).some(matchesClass)) return [];
  return (entry.predictions ?? []).filter(matchesClass).slice(0, 1);
}

function cardStatus(entry) {
  if (entry.status !== "ok") return entry.status;
  if (entry.failed_thresholds.length) return "threshold";
  if (statusFilters.zero(entry)) return "zero";
  return statusFilters.changed(entry) ? "changed" : "ok";
}

function statusText(entry, furtherMaps) {
  const parts = [];
  if (sortMetric() !== null) parts.push(`${sortMetric()} ${formatNumber(sortValue(entry))}`);
  if (entry.status === "failed") parts.push("✗ failed");
  if (entry.status === "skipped") parts.push("↷ skipped");
  if (entry.failed_thresholds.length) parts.push(`⚠ fails ${entry.failed_thresholds.join(", ")}`);
  if (statusFilters.zero(entry)) parts.push("○ zero map");
  if (statusFilters.changed(entry)) parts.push("≠ class changed");
  if (furtherMaps > 0) parts.push(`+ ${furtherMaps} ${furtherMaps === 1 ? "map" : "maps"}`);
  return parts.map((part) => part.replaceAll(" ", "\u00a0")).join(" · "); // lines wrap between the parts
}
