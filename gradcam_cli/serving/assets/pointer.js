// The value under the pointer, in all pictures at once; the arrow keys move the pointer of the focused picture.

let pointer = null; // [x, y] in fractions of the image
const keySteps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function preparePointer(panel) {
  const { frame } = panel;
  const follow = (event) => {
    const box = frame.getBoundingClientRect();
    movePointer([(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]);
  };
  frame.addEventListener("pointermove", follow);
  frame.addEventListener("pointerdown", follow);
  frame.addEventListener("pointerleave", () => document.activeElement === frame || movePointer(null));
  frame.addEventListener("blur", () => movePointer(null));
  frame.addEventListener("keydown", (event) => onPointerKey(panel, event));
}

function onPointerKey(panel, event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (keySteps[event.key]) {
    const step = event.shiftKey ? 0.1 : 0.02;
    const start = pointer ?? [0.5, 0.5];
    movePointer(start.map((place, axis) => place + step * keySteps[event.key][axis]));
  } else if (event.key === "m" && panel.answer?.peak) {
    showPeak(panel.answer);
    movePointer(panel.answer.peak);
  } else if (event.key === "Escape") {
    movePointer(null);
  } else {
    return;
  }
  event.preventDefault();
  if (pointer) byId("spoken").textContent = readoutOf(panel);
}

function movePointer(place) {
  pointer = place?.map((coordinate) => Math.min(Math.max(coordinate, 0), 1)) ?? null;
  for (const panel of panels.values()) drawReadout(panel);
}

function drawReadout(panel) {
  panel.readout.textContent = readoutOf(panel) || "\u00a0";
  panel.pointer.hidden = !pointer || !panel.answer;
  if (!pointer) return;
  panel.pointer.style.left = `${100 * pointer[0]}%`;
  panel.pointer.style.top = `${100 * pointer[1]}%`;
}

/** Return the value under the pointer in words; without a pointer, the highest value. */
function readoutOf({ answer }) {
  if (!answer) return "";
  const inUnits = typeof answer.largest === "number" && !answer.is_zero;
  if (!pointer) return inUnits ? `highest value ${formatNumber(answer.largest)}` : "";
  const value = valueAt(answer.map, ...pointer);
  if (value === null) return "outside the part that the model sees";
  const share = `${Math.round(100 * value)} % of the highest value`;
  const text = inUnits ? `value ${formatNumber(value * answer.largest)}, ${share}` : share;
  return session.rank === 1 ? `${samplePlace(pointer[0])} · map ${text}` : text;
}
