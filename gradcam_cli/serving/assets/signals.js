// Signals: lines that are colored by the map, in place of a photo.

/** Return a frame with lines instead of a photo, and around it the values and the times. */
function layOutSignal(frame) {
  const svg = makeSvg("svg", { preserveAspectRatio: "none", "aria-hidden": "true" });
  frame.classList.add("signal");
  frame.prepend(svg);
  return make("div", { class: "lines" }, make("div", { class: "values" }), frame, make("div", { class: "times" }));
}

/** Draw the lines of a panel in the colors of its map. */
function paintSignal({ frame, canvas, photo, answer }, look) {
  canvas.hidden = photo.hidden = true;
  const input = inputs.get(view.image);
  if (!input) return;
  const lines = signalLines(input);
  const height = channelHeight(lines.length);
  const svg = frame.querySelector("svg");
  svg.setAttribute("viewBox", `0 0 1000 ${height * lines.length}`);
  frame.style.height = `${height * lines.length}px`;
  frame.previousElementSibling.replaceChildren(...lines.map(makeValueLabels));
  frame.nextElementSibling.replaceChildren(...makeTimes(input));
  const isDrawn = answer && !answer.is_zero;
  drawSignal(svg, lines, isDrawn ? answer.map : { width: 1, height: 1, values: [0], limit: 1 }, height,
    isDrawn ? look : { ...look, opacity: 0 });
}

/** Return the sample at a place in 0..1, its time, and its values, in words. */
function samplePlace(x) {
  const input = inputs.get(view.image);
  const number = Math.min(Math.floor(x * input.size[0]), input.size[0] - 1);
  const values = signalValues(input, Math.min(x, 0.9999999));
  return `${placeText(input, 0, number)} · ${values.length > 1 ? "values" : "value"} ${values.join(", ")}`;
}
