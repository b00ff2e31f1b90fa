// Moving through the slices of a volume, the frames of a film, and the samples of a signal.

const thinnestSide = 1 / 6; // of the longer side of a picture; then it is not to scale
const sheetBorder = 1; // pixels around each slice of a sheet that repeat its edge
const playing = { timer: 0, unknownRate: 0.1, shortest: 0.04, longest: 1 }; // seconds between frames
let dragStart = null; // { x, index } where a pointer began to drag a picture

const isSignal = (entry) => entry.kind === "signal";
const isScrolled = (entry) => Boolean(currentSheet(entry));

/** Return the slices or frames in the viewer: their axis and numbers, and the picture with all of them; or null. */
function currentSheet(entry) {
  const sheet = entry.sheets?.find(({ axis }) => String(axis) === state.axis) ?? entry.sheets?.[0];
  return sheet ? { ...sheet, unit: entry.kind === "film" ? "frame" : "slice" } : null;
}

/** Return the numbers at which the slider stops: of slices, of frames, or of the samples of a signal. */
function stops(entry) {
  if (isSignal(entry)) return sampleNumbers(entry);
  return currentSheet(entry)?.numbers ?? [];
}

const throughAxis = (entry) => (isSignal(entry) ? 0 : currentSheet(entry).axis);

/** Return the index of the current stop: that of the view, or the nearest to the peak of the first map. */
function currentStop(entry) {
  const numbers = stops(entry);
  const [map] = viewerMaps();
  const peak = map?.peak?.[map.peak.length - 1 - throughAxis(entry)];
  const middle = numbers[Math.floor((numbers.length - 1) / 2)];
  const wanted = state.slice === "" || Number.isNaN(Number(state.slice)) ? peak ?? middle : Number(state.slice);
  const distances = numbers.map((number) => Math.abs(number - wanted));
  return distances.indexOf(Math.min(...distances));
}

/** Return the axis and the position in 0..1 of the slice in the viewer. */
function slicePosition() {
  const entry = currentEntry();
  const { axis, numbers } = currentSheet(entry);
  return [axis, (numbers[currentStop(entry)] + 0.5) / entry.size[2 - axis]];
}

/** Return the axes of a picture, across and down: their names, their places in [x, y, z], and their lengths. */
function pictureAxes(entry) {
  const through = isScrolled(entry) ? currentSheet(entry).axis : 0;
  const shown = entry.size.length < 3 ? [1, 2] : [0, 1, 2].filter((axis) => axis !== through);
  return shown.reverse().map((axis) => ({ name: axisNames[axis], index: 2 - axis, length: entry.size[2 - axis] ?? 1 }));
}

/** Return the width and height of a picture in equal units, or null if they are unknown. */
function pictureSides(entry) {
  if (!entry.size) return null;
  const axes = pictureAxes(entry);
  const steps = entry.kind === "volume" && entry.spacing.every((step) => step > 0) ? entry.spacing : [1, 1, 1];
  const sides = axes.map(({ index, length }) => length * steps[2 - index]);
  return sides.map((side) => (isScrolled(entry) ? Math.max(side, thinnestSide * Math.max(...sides)) : side));
}

/** Return which slice, frame or sample has a number, and its place. */
const stopText = (entry, number) => placeText(entry, throughAxis(entry), number);

function prepareScroll() {
  const viewer = byId("viewer");
  byId("slice").addEventListener("input", () => { stopPlaying(); moveTo(Number(byId("slice").value)); });
  byId("axis").addEventListener("change", () => go({ axis: byId("axis").value, slice: "" }));
  byId("play").addEventListener("click", () => (playing.timer ? stopPlaying() : play()));
  for (const type of ["pointerdown", "pointermove"]) byId("profile").addEventListener(type, followProfile);
  viewer.addEventListener("wheel", turnWheel, { passive: false });
  viewer.addEventListener("pointerdown", startDrag);
  viewer.addEventListener("pointermove", drag);
  for (const type of ["pointerup", "pointercancel"]) addEventListener(type, () => { dragStart = null; });
}

/** Show another stop; only what it affects is drawn. */
function moveTo(index) {
  const numbers = stops(currentEntry());
  const inside = Math.min(Math.max(index, 0), numbers.length - 1);
  if (inside === currentStop(currentEntry())) return;
  go({ slice: String(numbers[inside]) }, "slice", () => { drawScroll(currentEntry(), viewerMaps()); redrawMaps(); });
}

function moveBy(steps) {
  if (byId("scroll").hidden) return;
  stopPlaying();
  moveTo(currentStop(currentEntry()) + steps);
}

function turnWheel(event) {
  if (byId("scroll").hidden || isSignal(currentEntry()) || event.ctrlKey || !event.target.closest(".frame")) return;
  const [index, last] = [currentStop(currentEntry()), stops(currentEntry()).length - 1];
  const steps = wheelSteps(event, index === 0, index === last);
  if (steps) moveBy(steps);
}

function startDrag(event) {
  const canDrag = !byId("scroll").hidden && event.target.closest(".frame:not(.swipe)");
  dragStart = canDrag ? { x: event.clientX, index: currentStop(currentEntry()) } : null;
}

/** Move through all stops along the width of a picture; in a signal, to the sample under the pointer. */
function drag(event) {
  const frame = event.target.closest(".frame");
  if (!dragStart || !frame || !(event.buttons & 1)) return;
  const [area, count] = [frame.getBoundingClientRect(), stops(currentEntry()).length];
  const signal = isSignal(currentEntry());
  const fraction = (event.clientX - (signal ? area.left : dragStart.x)) / area.width;
  stopPlaying();
  moveTo((signal ? 0 : dragStart.index) + Math.round(fraction * (count - 1)));
}

function followProfile(event) {
  if (!(event.buttons & 1)) return;
  const area = byId("profile").getBoundingClientRect();
  stopPlaying();
  moveTo(Math.round(((event.clientX - area.left) / area.width) * (stops(currentEntry()).length - 1)));
}

function play() {
  const entry = currentEntry();
  const [numbers, index] = [stops(entry), currentStop(entry)];
  const next = (index + 1) % numbers.length;
  const frames = Math.max(numbers[next] - numbers[index], 1);
  const distance = (entry.spacing[0] || playing.unknownRate) * frames;
  const seconds = Math.min(Math.max(distance, playing.shortest), playing.longest);
  playing.timer = setTimeout(() => { moveTo(next); play(); }, 1000 * seconds);
  byId("play").textContent = "❚❚ Pause";
}

function stopPlaying() {
  clearTimeout(playing.timer);
  playing.timer = 0;
  byId("play").textContent = "▶ Play";
}

/** Draw the slider and the curve, and show the slice, the marks and the texts of the current stop. */
function drawScroll(entry, maps) {
  const numbers = stops(entry);
  const isNumbered = maps.some((map) => map.levels) || (!maps.length && isScrolled(entry));
  byId("scroll").hidden = numbers.length < 2 || !isNumbered;
  if (!numbers.length) return;
  const index = currentStop(entry);
  const text = stopText(entry, numbers[index]);
  byId("slice").max = numbers.length - 1;
  byId("slice").value = index;
  byId("slice").setAttribute("aria-valuetext", text);
  byId("slice-name").textContent = isSignal(entry) ? "Sample" : entry.kind === "film" ? "Frame" : "Slice";
  byId("stop").textContent = isSignal(entry) ? sampleText(entry, maps, numbers[index]) : text;
  byId("play").hidden = entry.kind !== "film";
  byId("viewer").style.setProperty("--place", `${(100 * (index + 0.5)) / numbers.length}%`);
  byId("axis").parentElement.hidden = isSignal(entry) || entry.sheets.length < 2;
  byId("profile").parentElement.hidden = true;
  if (isSignal(entry)) return;
  for (const { mark, first, last } of drawnMarks) mark.hidden = numbers[index] < first || numbers[index] > last;
  showSlice(entry, index, text);
  drawAxes(entry);
  drawProfile(entry, maps, index);
}

/** Move the sheets of slices in their frames, and name the slice for screen readers. */
function showSlice(entry, index, text) {
  const { columns, numbers, unit, width, height } = currentSheet(entry);
  const [across, down] = [1 + 2 * sheetBorder / width, 1 + 2 * sheetBorder / height]; // of a slice with its border
  const style = {
    width: columns * across, height: Math.ceil(numbers.length / columns) * down,
    left: -(index % columns) * across - sheetBorder / width,
    top: -Math.floor(index / columns) * down - sheetBorder / height,
  };
  for (const [name, part] of Object.entries(style)) byId("viewer").style.setProperty(`--sheet-${name}`, `${100 * part}%`);
  for (const image of byId("viewer").querySelectorAll(".sheet")) image.alt = `${text} of the ${unit}s of ${entry.name}`;
}

function drawAxes(entry) {
  const names = entry.sheets.map(({ axis }) => [axis, planeNames[entry.kind][axis]]);
  byId("axis").replaceChildren(...names.map(([axis, name]) => make("option", { value: axis }, name)));
  byId("axis").value = currentSheet(entry).axis;
}

/** Draw the largest value of the maps in each slice, and where the current one is. */
function drawProfile(entry, maps, index) {
  const sheet = currentSheet(entry);
  const place = entry.sheets.findIndex(({ axis }) => axis === sheet.axis);
  const count = sheet.numbers.length;
  const curves = maps.map((map) => map.profiles?.[place]).filter((curve) => curve?.length === count && count > 1);
  byId("profile").parentElement.hidden = !curves.length;
  if (!curves.length) return;
  byId("profile").replaceChildren(...curveElements(curves, index));
  const largest = sheet.numbers[curves[0].indexOf(Math.max(...curves[0]))];
  const text = `Largest value of the map in each ${sheet.unit}, highest in ${sheet.unit} ${largest}`;
  byId("profile").setAttribute("aria-label", text);
}
