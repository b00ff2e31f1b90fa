// The gallery: filter, sort, and cards of one page at a time, so that thousands of photos stay quick.

const pageSize = 48;
const namesOffered = 100; // classes in the list under the class filter
const natural = new Intl.Collator("en", { numeric: true });
const ofStatus = {
  all: () => true,
  explained: (entry) => entry.status === "ok",
  failed: (entry) => entry.status === "failed",
  skipped: (entry) => entry.status === "skipped",
  zero: (entry) => entry.maps.some((map) => map.zero),
  missed: (entry) => entry.missed.length > 0,
};
const filterFields = ["q", "class", "min", "max", "status", "sort", "order"];
const classes = new Map();
let ordered = []; // the entries' indices that pass the filters, in the order shown
let orderedFor = null; // the filters that `ordered` was made for

function prepareGallery() {
  for (const entry of report.entries) {
    entry.maps ??= [];
    entry.missed ??= [];
    if (entry.class) classes.set(entry.class, (classes.get(entry.class) ?? 0) + 1);
  }
  const frequent = [...classes].sort((one, other) => other[1] - one[1]).slice(0, namesOffered);
  const options = frequent.map(([name]) => make("option", { value: name }));
  byId("class").addEventListener("focus", () => byId("classes").replaceChildren(...options));
  byId("class").addEventListener("blur", () => byId("classes").replaceChildren()); // few nodes at once
  for (const id of ["q", "class", "min", "max"]) {
    byId(id).addEventListener("input", () => go({ [id]: byId(id).value, page: "1" }, id));
  }
  for (const id of ["status", "sort", "order"]) {
    byId(id).addEventListener("change", () => go({ [id]: byId(id).value, page: "1" }));
  }
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("reset", (event) => { event.preventDefault(); reset(); });
  byId("start-over").addEventListener("click", () => { reset(); byId("q").focus(); });
  byId("previous-page").addEventListener("click", () => turnTo(pageShown() - 1));
  byId("next-page").addEventListener("click", () => turnTo(pageShown() + 1));
  byId("page").addEventListener("change", () => turnTo(Math.trunc(Number(byId("page").value))));
}

function reset() {
  go(Object.fromEntries([...filterFields, "page"].map((key) => [key, defaults[key]])));
}

function turnTo(page) {
  go({ page: String(Math.min(Math.max(page || 1, 1), pageCount())) });
  byId("gallery").scrollIntoView();
}

const pageCount = () => Math.max(1, Math.ceil(matches().length / pageSize));
const pageShown = () => Math.min(Math.max(Math.trunc(Number(state.page)) || 1, 1), pageCount());
const pageOf = (index) => String(Math.floor(Math.max(matches().indexOf(index), 0) / pageSize) + 1);

/** Return the indices of the entries that pass the filters, in the order chosen. */
function matches() {
  const wanted = JSON.stringify(filterFields.map((key) => state[key]));
  if (wanted !== orderedFor) {
    const passes = filter();
    ordered = sort([...report.entries.keys()].filter((index) => passes(report.entries[index])));
    orderedFor = wanted;
  }
  return ordered;
}

function filter() {
  const text = state.q.trim().toLowerCase();
  const name = state.class.trim().toLowerCase();
  const ofClass = classes.has(state.class)
    ? (entry) => entry.class === state.class
    : (entry) => !name || (entry.class ?? "").toLowerCase().includes(name);
  const between = inRange(state.min, state.max);
  return (entry) => ofStatus[state.status](entry) && entry.name.toLowerCase().includes(text) && ofClass(entry)
    && between(entry.p);
}

function inRange(smallest, largest) {
  if (smallest === "" && largest === "") return () => true;
  const least = smallest === "" ? -Infinity : Number(smallest) / 100;
  const most = largest === "" ? Infinity : Number(largest) / 100;
  return (p) => typeof p === "number" && p >= least && p <= most;
}

/** Sort indices by the chosen value; entries without it stand last in both directions. */
function sort(indices) {
  const sign = state.order === "descending" ? -1 : 1;
  if (state.sort === "run") return sign < 0 ? indices.reverse() : indices;
  const { entries } = report;
  if (state.sort === "name") {
    return indices.sort((one, other) => sign * natural.compare(entries[one].name, entries[other].name));
  }
  const values = indices.map((index) => valueOf(entries[index]));
  const has = (place) => typeof values[place] === "number";
  const places = [...indices.keys()].sort((one, other) => {
    if (has(one) && has(other)) return sign * (values[one] - values[other]);
    return Number(has(other)) - Number(has(one));
  });
  return places.map((place) => indices[place]);
}

const metricSorted = () => (state.sort.startsWith("metric:") ? state.sort.slice("metric:".length) : null);

function valueOf(entry) {
  const metric = metricSorted();
  return metric === null ? entry.p : entry.metrics?.[metric];
}

function drawGallery() {
  for (const key of filterFields) {
    if (byId(key).value !== state[key]) byId(key).value = state[key];
  }
  const found = matches();
  const first = (pageShown() - 1) * pageSize;
  const shown = found.slice(first, first + pageSize);
  byId("cards").replaceChildren(...shown.map(makeCard));
  byId("empty").hidden = found.length > 0;
  byId("count").textContent = countText(found.length, first, shown.length);
  byId("pager").hidden = pageCount() === 1;
  byId("page").value = pageShown();
  byId("page").max = pageCount();
  byId("pages").textContent = `of ${pageCount()}`;
  byId("previous-page").disabled = pageShown() === 1;
  byId("next-page").disabled = pageShown() === pageCount();
}

function countText(found, first, shown) {
  const all = report.entries.length;
  const some = found < all ? `${found} of ${all} inputs` : `${all} ${all === 1 ? "input" : "inputs"}`;
  return shown < found ? `${some}, ${first + 1} to ${first + shown} shown` : some;
}

function makeCard(index) {
  const entry = report.entries[index];
  const picture = entry.thumb
    ? make("img", { src: entry.thumb, alt: "", loading: "lazy", decoding: "async", width: 200, height: 200 })
    : make("span", { class: "thumb", "aria-hidden": "true" }, entry.status === "failed" ? "✗" : "–");
  const card = make("a", { href: link({ entry: String(index + 1), map: "1" }), "data-status": mark(entry) }, picture,
    make("bdi", { class: "name", title: entry.name }, ...breakName(entry.name)),
    entry.class ? make("bdi", { class: "class" }, entry.class) : null,
    make("span", { class: "status" }, statusText(entry)));
  return make("li", {}, card);
}

function mark(entry) {
  if (entry.status !== "ok") return entry.status;
  if (entry.missed.length) return "missed";
  return ofStatus.zero(entry) ? "zero" : "ok";
}

function statusText(entry) {
  const words = [];
  if (typeof entry.p === "number") words.push(showPercent(entry.p));
  if (metricSorted() !== null) words.push(`${metricSorted()} ${showNumber(valueOf(entry))}`);
  if (entry.status === "failed") words.push("✗ failed");
  if (entry.status === "skipped") words.push("↷ skipped");
  if (entry.missed.length) words.push(`⚠ misses ${entry.missed.join(", ")}`);
  if (ofStatus.zero(entry)) words.push("○ zero map");
  if (mark(entry) === "ok") words.push("✓ explained");
  return words.map((word) => word.replaceAll(" ", "\u00a0")).join(" · "); // a line ends between them only
}
