// The slices of a volume and the frames of a film: one slider for all pictures, which start at the slice of the highest
// value of their maps.

const playing = { timer: 0, image: "", unknownRate: 0.1, shortest: 0.04, longest: 1 }; // seconds between frames

/** Adapt the page to the inputs that the models take, and prepare the slider. */
function prepareInputs() {
  if (session.rank === 2) return;
  byId("welcome-what").textContent = `Drop ${session.input} here`;
  byId("file").accept = session.suffixes.join(",");
  byId("image-query").placeholder = "Search files";
  byId("contours").parentElement.hidden = session.rank === 1;
  byId("slice").addEventListener("input", () => { stopPlaying(); moveTo(Number(byId("slice").value)); });
  byId("axis").addEventListener("change", () => show({ axis: byId("axis").value, slice: "" }));
  byId("play").addEventListener("click", () => (playing.timer ? stopPlaying() : play()));
  byId("to-peak").addEventListener("click", () => { stopPlaying(); show({ slice: "" }); });
  for (const type of ["pointerdown", "pointermove"]) byId("profile").addEventListener(type, followProfile);
  byId("panels").addEventListener("wheel", turnWheel, { passive: false });
}

/** Draw what depends on the kind and the size of the input, when they arrive with the predictions. */
function drawInput() {
  drawSlices();
  for (const panel of panels.values()) paintPanel(panel, currentLook());
}

/** Return the shown slice: its axis, its number, and the number of slices; null for other inputs. */
function currentSlice() {
  const input = inputs.get(view.image);
  if (session.rank !== 3 || !input) return null;
  const axis = Number(view.axis) || 0;
  const count = input.size[2 - axis];
  const first = firstAnswer();
  const chosen = view.slice === "" ? first?.slice.number ?? Math.floor(count / 2) : Number(view.slice);
  return { input, axis, count, number: Math.min(Math.max(chosen, 0), count - 1) };
}

/** Return the answer of the first picture, if it has one for the shown axis. */
function firstAnswer() {
  const first = panels.get(`${session.models[0].id} ${shownMethods()[0]}`);
  return first?.answer?.slice?.axis === (Number(view.axis) || 0) ? first.answer : null;
}

/** Return in words which slice or frame an answer shows, or "". */
const sliceText = (answer) => (answer?.slice && inputs.has(view.image)
  ? placeText(inputs.get(view.image), answer.slice.axis, answer.slice.number) : "");

/** Show the picture of an answer: its slice, or without an answer the chosen one or the middle. */
function showPicture(photo, answer) {
  const chosen = session.rank === 3 ? { axis: Number(view.axis) || 0, slice: view.slice } : {};
  const place = answer?.slice ? { axis: answer.slice.axis, slice: answer.slice.number } : chosen;
  const address = apiAddress(`images/${view.image}/${session.rank === 1 ? "thumbnail" : "picture"}`, place);
  if (photo.getAttribute("src") !== address) photo.src = address;
}

function moveTo(number) {
  const slice = currentSlice();
  if (!slice) return;
  const inside = Math.min(Math.max(number, 0), slice.count - 1);
  if (inside !== slice.number) show({ slice: String(inside) }, "slice");
}

function moveBy(steps) {
  stopPlaying();
  moveTo((currentSlice()?.number ?? 0) + steps);
}

/** Show the slice with the highest value of a map. */
function showPeak({ slice }) {
  if (!slice || slice.number === slice.peak) return;
  stopPlaying();
  show({ slice: String(slice.peak) });
}

function turnWheel(event) {
  const slice = currentSlice();
  if (!slice || event.ctrlKey || !event.target.closest(".frame")) return;
  const steps = wheelSteps(event, slice.number === 0, slice.number === slice.count - 1);
  if (steps) moveBy(steps);
}

function followProfile(event) {
  if (!(event.buttons & 1)) return;
  const area = byId("profile").getBoundingClientRect();
  stopPlaying();
  moveTo(Math.round(((event.clientX - area.left) / area.width) * (currentSlice().count - 1)));
}

function play() {
  const { input, number, count } = currentSlice();
  const seconds = Math.min(Math.max(input.spacing[0] || playing.unknownRate, playing.shortest), playing.longest);
  playing.image = view.image;
  playing.timer = setTimeout(() => { moveTo((number + 1) % count); play(); }, 1000 * seconds);
  byId("play").textContent = "❚❚ Pause";
}

function stopPlaying() {
  clearTimeout(playing.timer);
  playing.timer = 0;
  byId("play").textContent = "▶ Play";
}

/** Draw the slider, and above it the highest value of the first map in each slice. */
function drawSlices() {
  if (playing.timer && playing.image !== view.image) stopPlaying();
  const slice = view.image ? currentSlice() : null;
  byId("scroll").hidden = !slice || slice.count < 2 && slice.input.kind === "film";
  if (!slice) return;
  const { input, axis, number, count } = slice;
  const text = placeText(input, axis, number);
  const names = planeNames[input.kind];
  byId("slice").max = count - 1;
  byId("slice").value = number;
  byId("slice").setAttribute("aria-valuetext", text);
  byId("slice-name").textContent = input.kind === "film" ? "Frame" : "Slice";
  byId("stop").textContent = text;
  byId("play").hidden = input.kind !== "film";
  byId("axis").parentElement.hidden = names.length < 2;
  if (byId("axis").childElementCount !== names.length) {
    byId("axis").replaceChildren(...names.map((name, value) => make("option", { value }, name)));
  }
  byId("axis").value = axis;
  drawProfile(firstAnswer(), slice);
}

function drawProfile(answer, { input, number, count }) {
  byId("to-peak").hidden = typeof answer?.slice.peak !== "number" || answer.slice.peak === number;
  byId("profile").parentElement.hidden = count < 2;
  if (!answer || count < 2) return;
  byId("profile").replaceChildren(...curveElements([answer.slice.profile], number));
  const unit = input.kind === "film" ? "frame" : "slice";
  const highest = answer.slice.peak === null ? "" : `, highest in ${unit} ${answer.slice.peak}`;
  byId("profile").setAttribute("aria-label", `Highest value of the map in each ${unit}${highest}`);
}
