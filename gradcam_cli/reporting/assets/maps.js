// Maps as numbers: interpolation, colors and contour lines. Every page that draws maps uses these functions.
//
// A map is { width, height, values, limit, box, crop, nearest }: its values row by row, in any unit; the value of the
// last color in this unit; the part of the image that the values cover, [x0, y0, x1, y1] in fractions of the image,
// which may extend beyond it; the part that is drawn; and whether its cells have edges. Values are those of the
// centers of the cells, and linear between them.
//
// The map of a signal has a height of 1. That of a volume or a film has a `depth`, and its box is
// [x0, y0, z0, x1, y1, z1]; `sliceMap` returns a map of one slice.

const wholeImage = [0, 0, 1, 1];
const outside = [2, 2, 2, 2]; // the crop of a slice without a map
const contourLine = { perSide: 250, minWidth: 2, minEdge: 1.5 }; // as in files: the line, and the edge on each side

/**
 * Return a map from its JSON form, whose `values` are base64 of little-endian float32 numbers or, with `bits: 8`, of
 * levels: value = level / 255 * top. `top` is `limit` unless it is given. The box of a signal is [x0, x1].
 */
function decodeMap(json) {
  const { width, height = 1, depth = 1, values, limit, bits, top = limit, box, crop = box, nearest = false } = json;
  const bytes = Uint8Array.from(atob(values), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const numbers = bits === 8
    ? Float32Array.from(bytes, (level) => (level / 255) * top)
    : Float32Array.from({ length: bytes.length / 4 }, (_, index) => view.getFloat32(4 * index, true));
  const [covered, drawn] = [box, crop].map((each) => {
    if (!each) return depth > 1 ? [0, 0, 0, 1, 1, 1] : wholeImage;
    return each.length === 2 ? [each[0], 0, each[1], 1] : each;
  });
  return { width, height, depth, values: numbers, limit, box: covered, crop: drawn, nearest };
}

/**
 * Return the map of one slice. Its rows and columns are the other two axes in their order.
 *
 * axis: 0 for slices as they are stored and for frames, 1 for rows, 2 for columns; position: of the slice, in 0..1.
 */
function sliceMap({ width, height, depth, values, limit, box, nearest }, axis, position) {
  const [sizes, strides] = [[depth, height, width], [height * width, width, 1]];
  const ends = box.length === 6 ? [[box[2], box[5]], [box[1], box[4]], [box[0], box[3]]] : [[0, 1], [0, 1], [0, 1]];
  const [row, column] = [0, 1, 2].filter((other) => other !== axis);
  const covered = [ends[column][0], ends[row][0], ends[column][1], ends[row][1]];
  const slice = { width: sizes[column], height: sizes[row], limit, box: covered, crop: covered, nearest };
  const isInside = position >= ends[axis][0] && position <= ends[axis][1];
  const [first, second, weight] = isInside ? cellsBetween(sizes[axis], ends[axis], position, nearest) : [0, 0, 0];
  slice.values = Float32Array.from({ length: slice.width * slice.height }, (_, i) => {
    const at = Math.floor(i / slice.width) * strides[row] + (i % slice.width) * strides[column];
    const before = values[at + first * strides[axis]];
    return before + weight * (values[at + second * strides[axis]] - before);
  });
  return isInside ? slice : { ...slice, crop: outside };
}

/** Return the value of a map at a point, x and y in 0..1 of the image, or null outside its crop. */
function valueAt(map, x, y) {
  const [[left, right, across], [top, bottom, down]] = [cellsAt(map, 0, x), cellsAt(map, 1, y)];
  if (left === null || top === null) return null;
  const value = (row, column) => map.values[row * map.width + column];
  const above = value(top, left) + across * (value(top, right) - value(top, left));
  const below = value(bottom, left) + across * (value(bottom, right) - value(bottom, left));
  return above + down * (below - above);
}

/** Return the two cells around a position on one axis (0: x, 1: y) and the weight of the second, or null outside. */
function cellsAt({ width, height, nearest, box = wholeImage, crop = box }, axis, position) {
  if (position < crop[axis] || position > crop[axis + 2]) return [null, null, 0];
  return cellsBetween(axis ? height : width, [box[axis], box[axis + 2]], position, nearest);
}

/** Return the two of `size` cells from `start` to `end` around a position, and the weight of the second. */
function cellsBetween(size, [start, end], position, nearest) {
  const place = ((position - start) / (end - start)) * size;
  const limited = Math.min(Math.max(nearest ? Math.floor(place) : place - 0.5, 0), size - 1);
  const first = Math.floor(limited);
  return [first, Math.min(first + 1, size - 1), limited - first];
}

/**
 * Draw a map at the size of its canvas.
 *
 * look: `colors`, 256 times red, green, blue; `opacity` of the last color, 0..1; `blend`: "opacity", proportional to
 * the value, or "constant"; `contours`: levels of lines, as fractions of the limit.
 */
function drawMap(canvas, map, { colors, opacity = 1, blend = "opacity", contours = [] }) {
  const { width, height } = canvas;
  const values = sampleMap(map, width, height);
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  for (let i = 0; i < values.length; i += 1) {
    if (Number.isNaN(values[i])) continue; // transparent
    const fraction = values[i] / map.limit;
    const color = 3 * Math.round(255 * fraction);
    picture.data[4 * i] = colors[color];
    picture.data[4 * i + 1] = colors[color + 1];
    picture.data[4 * i + 2] = colors[color + 2];
    picture.data[4 * i + 3] = 255 * opacity * (blend === "constant" ? 1 : fraction);
  }
  if (contours.length) drawContours(picture, values, contours.map((level) => level * map.limit));
  context.putImageData(picture, 0, 0);
}

/** Return the values of a map at width x height pixels, from 0 to its limit; NaN outside its crop. */
function sampleMap(map, width, height) {
  const limit = map.limit || 1;
  const columns = Array.from({ length: width }, (_, x) => cellsAt(map, 0, (x + 0.5) / width));
  const samples = new Float32Array(width * height).fill(NaN);
  const row = new Float32Array(map.width);
  for (let y = 0; y < height; y += 1) {
    const [top, bottom, down] = cellsAt(map, 1, (y + 0.5) / height);
    if (top === null) continue;
    for (let cell = 0; cell < map.width; cell += 1) {
      const above = map.values[top * map.width + cell];
      row[cell] = above + down * (map.values[bottom * map.width + cell] - above);
    }
    for (let x = 0; x < width; x += 1) {
      const [left, right, across] = columns[x];
      if (left === null) continue;
      samples[y * width + x] = Math.min(Math.max(row[left] + across * (row[right] - row[left]), 0), limit);
    }
  }
  return samples;
}

/** Draw white lines with a black edge: a pixel's distance from a line is |value - level| / |gradient|. */
function drawContours({ data, width, height }, values, levels) {
  const line = Math.max(contourLine.minWidth, Math.max(width, height) / contourLine.perSide) / 2;
  const edge = line + Math.max(line, contourLine.minEdge);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const i = y * width + x;
      if (Number.isNaN(values[i])) continue;
      const slope = Math.hypot(steeperSide(values, i, x > 0 ? -1 : 0, x < width - 1 ? 1 : 0),
        steeperSide(values, i, y > 0 ? -width : 0, y < height - 1 ? width : 0)) + 1e-9;
      let distance = Infinity;
      for (const level of levels) distance = Math.min(distance, Math.abs(values[i] - level) / slope);
      if (distance > edge + 0.5) continue;
      blendGray(data, 4 * i, 0, Math.min(edge + 0.5 - distance, 1));
      blendGray(data, 4 * i, 255, Math.min(Math.max(line + 0.5 - distance, 0), 1));
    }
  }
}

/** Return the larger difference from the neighbors before and after; a neighbor outside the crop has none. */
function steeperSide(values, i, before, after) {
  const [first, second] = [Math.abs(values[i] - values[i + before]), Math.abs(values[i + after] - values[i])];
  return Math.max(first || 0, second || 0);
}

/** Blend an opaque gray over a pixel. */
function blendGray(data, at, gray, coverage) {
  const alpha = data[at + 3] / 255;
  const result = coverage + alpha * (1 - coverage);
  for (let channel = 0; channel < 3 && result > 0; channel += 1) {
    data[at + channel] = (gray * coverage + data[at + channel] * alpha * (1 - coverage)) / result;
  }
  data[at + 3] = 255 * result;
}
