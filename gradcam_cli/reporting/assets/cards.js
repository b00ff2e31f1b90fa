// The cards of the gallery: an image under its map, its name, and what differs from the other cards.

const maxCardClasses = 3;
const cardNameLengths = { folder: 24, file: 36 }; // characters; longer names are cut in the middle
let commonFolder = ""; // of all inputs; cards leave it out
let varyingParts = []; // of the map of a thumbnail: those that are not the same on all cards

function prepareCards() {
  commonFolder = report.entries.length > 1 ? commonFolderOf(report.entries.map((entry) => entry.name)) : "";
  const shown = report.entries.filter((entry) => entry.maps.length).map((entry) => mapParts(entry.maps[0]));
  varyingParts = [0, 1, 2].filter((part) => new Set(shown.map((parts) => parts[part])).size > 1);
}

function commonFolderOf(names) {
  let common = names[0].slice(0, names[0].lastIndexOf("/") + 1);
  for (const name of names) {
    while (!name.startsWith(common)) common = common.slice(0, common.lastIndexOf("/", common.length - 2) + 1);
  }
  return common;
}

/** Return what computed a map: the method, the layer with its size, and the model. */
const mapParts = (map) => [map.method, layerOf(map), map.model];

/** Return what all cards have in common, for the line above them: the folder, and what computed the maps. */
function commonText() {
  const withMap = report.entries.find((entry) => entry.maps.length);
  const parts = withMap ? mapParts(withMap.maps[0]).filter((part, index) => part && !varyingParts.includes(index)) : [];
  return [commonFolder ? `in ${commonFolder}` : "", ...parts].filter(Boolean).join(" · ");
}

function makeCard(index) {
  const entry = report.entries[index];
  const parts = entry.maps.length ? varyingParts.map((part) => mapParts(entry.maps[0])[part]).filter(Boolean) : [];
  const card = make("a", { href: link({ entry: String(index + 1), map: "1" }), "data-status": cardStatus(entry) },
    makeThumbnail(entry),
    make("bdi", { class: "name", title: entry.name }, ...makeCardName(entry.name)),
    ...cardClasses(entry).map(makeCardClass),
    ...(parts.length ? [makeText("span", parts.join(" · "), { class: "drawn status" })] : []),
    make("span", { class: "status" }, statusText(entry)));
  return make("li", {}, card);
}

/** Return the nodes of a name without the common folder, whose folder and file remain readable. */
function makeCardName(name) {
  const shown = name.slice(commonFolder.length);
  const end = shown.lastIndexOf("/") + 1;
  const folder = cutMiddle(shown.slice(0, end), cardNameLengths.folder);
  const file = cutMiddle(shown.slice(end), cardNameLengths.file);
  const parts = breakable(file);
  return folder ? [make("span", { class: "folder" }, ...breakable(folder)), make("wbr"), ...parts] : parts;
}

/** Return the nodes of a name that wraps after its dashes. */
const breakable = (text) => text.split(/(?<=[_-])/).flatMap((part) => [make("wbr"), part]).slice(1);

function makeThumbnail(entry) {
  if (!entry.thumbnail) {
    return make("span", { class: "thumbnail", "aria-hidden": "true" }, entry.status === "failed" ? "✗" : "–");
  }
  const image = make("img", { src: entry.thumbnail, alt: "", decoding: "async", width: 200, height: 200 });
  const boxes = entry.maps.map((map) => map.detection).filter(Boolean).slice(0, 1);
  if (!boxes.length || !entry.size) return image;
  const svg = makeSvg("svg", { viewBox: `0 0 ${entry.size.join(" ")}`, "aria-hidden": "true" });
  for (const [x, y, right, bottom] of boxes) {
    const [width, height] = [Math.max(right - x, 0), Math.max(bottom - y, 0)];
    svg.append(...["edge", "core"].map((kind) => makeSvg("rect", { x, y, width, height, class: kind })));
  }
  return make("span", { class: "boxed" }, image, svg);
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
  const metric = sortMetric();
  if (metric !== null && !(drifts.length && metric !== "class-change")) {
    parts.push(`${metric} ${formatNumber(sortValue(entry))}`);
  }
  if (entry.status === "failed") parts.push("✗ failed");
  if (entry.status === "skipped") parts.push("↷ skipped");
  if (entry.failed_thresholds.length) parts.push(`⚠ fails ${entry.failed_thresholds.join(", ")}`);
  if (statusFilters.zero(entry)) parts.push("○ zero map");
  return parts.map((part) => part.replaceAll(" ", "\u00a0")).join(" · "); // lines wrap between the parts
}
