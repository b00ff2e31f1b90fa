// Places in signals, volumes and films in words, and a curve of the largest values of a map along them. An input has a
// kind, its size [x, y, z], and its spacing in the order of the array's axes.

const axisNames = ["z", "y", "x"]; // of a volume, in the order of the array's axes
const planeNames = { volume: ["slices (z)", "rows (y)", "columns (x)"], film: ["frames"] };

/** Return which slice, frame or sample along an axis has a number, and its place in millimeters or seconds. */
function placeText({ kind, size, spacing }, axis, number) {
  const step = spacing[axis];
  const name = `${{ signal: "sample", film: "frame" }[kind] ?? "slice"} ${number} of ${size[size.length - 1 - axis]}`;
  if (kind === "volume") return step ? `${name} · ${axisNames[axis]} = ${formatNumber(number * step)} mm` : name;
  return step ? `${name} · ${formatNumber(number * step)} s` : name;
}

const wheelStep = 40; // pixels that a wheel or a touchpad turns for one slice
let wheelRest = 0;

/** Return for how many slices a wheel was turned; 0 at an end, where the page scrolls on. */
function wheelSteps(event, isFirst, isLast) {
  const pixels = event.deltaMode === 0 ? event.deltaY : event.deltaY * wheelStep;
  if ((pixels < 0 && isFirst) || (pixels > 0 && isLast)) return 0;
  event.preventDefault();
  wheelRest = Math.sign(pixels) === Math.sign(wheelRest) ? wheelRest + pixels : pixels;
  const steps = Math.trunc(wheelRest / wheelStep);
  wheelRest -= steps * wheelStep;
  return steps;
}

/** Return the elements of curves of values in 0..1, at least two, in a picture of 1000 x 60, and of a mark at an index. */
function curveElements(curves, index) {
  const count = curves[0].length;
  const [x, y] = [(i) => (1000 * i) / (count - 1), (value) => 58 - 54 * value];
  const lines = curves.flatMap((curve, number) => {
    const points = curve.map((value, i) => `${x(i)},${y(value)}`).join(" ");
    const area = number ? [] : [makeSvg("polygon", { points: `0,58 ${points} 1000,58`, class: "area" })];
    return [...area, makeSvg("polyline", { points, class: number ? "after" : "" })];
  });
  return [...lines, makeSvg("line", { x1: x(index), x2: x(index), y1: 0, y2: 60, class: "now" })];
}
