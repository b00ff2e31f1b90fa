// The gallery: filters, sorting, and the cards of one page at a time, so that large reports stay responsive.

const pageSize = 48;
const maxListedClasses = 100; // classes that the class filter suggests
const maxCardClasses = 3;
const naturalOrder = new Intl.Collator("en", { numeric: true });
const statusFilters = {
  all: () => true,
  explained: (entry) => entry.status === "ok",
  failed: (entry) => entry.status === "failed",
  skipped: (entry) => entry.status === "skipped",
  zero: (entry) => entry.maps.some((map) => map.zero_reason),
  threshold: (entry) => entry.failed_thresholds.length > 0,
};
const filterFields = ["q", "class", "min", "max", "status", "truth", "true", "predicted", "sort", "order"];
const classCounts = new Map();
let matchingIndices = []; // indices of the entries that pass the filters, in display order
let matchingKey = null; // the filter values that `matchingIndices` belongs to

function prepareGallery() {
  for (const entry of report.entries) {
    entry.maps ??= [];
    entry.failed_thresholds ??= [];
    for (const name of classesOf(entry)) classCounts.set(name, (classCounts.get(name) ?? 0) + 1);
  }
  prepareTruth();
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
    matchingIndices = sortIndices([...report.entries.keys()].filter((index) => passes(report.entries[index])));
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
  const hasText = (entry) => [entry.name, ...classesOf(entry)].some((name) => name.toLowerCase().includes(text));
  const hasTruth = makeTruthFilter();
  return (entry) => statusFilters[state.status](entry) && hasText(entry) && hasTruth(entry)
    && (anyMap || entry.maps.some((map) => hasClass(map) && hasProbability(map.probability)));
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
  return metric === null ? entry.probability : entry.metrics?.[metric];
}

function drawGallery() {
  for (const key of filterFields.filter(byId)) {
    if (byId(key).value !== state[key]) byId(key).value = state[key];
  }
  const indices = matches();
  const first = (currentPage() - 1) * pageSize;
  const onPage = indices.slice(first, first + pageSize);
  byId("cards").replaceChildren(...onPage.map(makeCard));
  byId("empty").hidden = indices.length > 0;
  byId("count").textContent = countText(indices.length, first, onPage.length);
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

function makeCard(index) {
  const entry = report.entries[index];
  const thumbnail = entry.thumbnail
    ? make("img", { src: entry.thumbnail, alt: "", decoding: "async", width: 200, height: 200 })
    : make("span", { class: "thumbnail", "aria-hidden": "true" }, entry.status === "failed" ? "✗" : "–");
  const card = make("a", { href: link({ entry: String(index + 1), map: "1" }), "data-status": cardStatus(entry) },
    thumbnail,
    make("bdi", { class: "name", title: entry.name }, ...wrappableName(entry.name)),
    ...cardClasses(entry).map(makeCardClass),
    ...(entry.maps.length ? [makeText("span", cardMap(entry), { class: "drawn status" })] : []),
    make("span", { class: "status" }, statusText(entry)));
  return make("li", {}, card);
}

/** Return the classes of a card with their probabilities: that of its thumbnail first, or those before and after. */
function cardClasses(entry) {
  const before = entry.maps.find((map) => map.run === "before");
  const shown = { class: entry.class, probability: entry.probability };
  if (before && before.class !== entry.class) return [before, { ...shown, class: `→ ${entry.class}` }];
  if (before || !entry.class) return entry.class ? [shown] : entry.truth ? [{ class: entry.truth.predicted }] : [];
  const others = new Map(entry.maps.map((map) => [map.class, map]));
  others.delete(entry.class);
  const all = [shown, ...others.values()].filter((map) => map.class);
  if (all.length <= maxCardClasses) return all;
  return [...all.slice(0, maxCardClasses - 1), { class: `+ ${all.length - maxCardClasses + 1} more` }];
}

/** Return the method, the layer with its size and the model of the map of a thumbnail. */
function cardMap(entry) {
  const [map] = entry.maps;
  return [map.method, layerOf(map), map.model].filter(Boolean).join(" · ");
}

function makeCardClass(map) {
  const percent = typeof map.probability === "number" ? formatPercent(map.probability).replaceAll(" ", "\u00a0") : "";
  return make("span", { class: "class" }, make("bdi", { title: map.class }, map.class), make("span", {}, percent));
}

function cardStatus(entry) {
  if (entry.status !== "ok") return entry.status;
  if (entry.failed_thresholds.length) return "threshold";
  return statusFilters.zero(entry) ? "zero" : "ok";
}

/** Return the drifts of an image of a comparison; its card shows both classes instead of the class change. */
function driftText(entry) {
  if (report.command !== "compare") return [];
  const drifts = Object.entries(entry.metrics ?? {}).filter(([name]) => name !== "class-change");
  return drifts.map(([name, value], i) => `${i ? "" : "drift: "}${name} ${value.toFixed(3)}`);
}

function statusText(entry) {
  const drifts = driftText(entry);
  const parts = [...truthText(entry), ...drifts];
  if (sortMetric() !== null && !(drifts.length && sortMetric() !== "class-change")) {
    parts.push(`${sortMetric()} ${formatNumber(sortValue(entry))}`);
  }
  if (entry.status === "failed") parts.push("✗ failed");
  if (entry.status === "skipped") parts.push("↷ skipped");
  if (entry.failed_thresholds.length) parts.push(`⚠ fails ${entry.failed_thresholds.join(", ")}`);
  if (statusFilters.zero(entry)) parts.push("○ zero map");
  return parts.map((part) => part.replaceAll(" ", "\u00a0")).join(" · "); // lines wrap between the parts
}
