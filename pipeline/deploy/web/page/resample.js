/**
 * Pillow's resampling of 8-bit channels, number for number (its src/libImaging/Resample.c): weights of 22 fractional
 * bits, a horizontal pass, then a vertical one, each rounded and clipped to 0-255. (From version 13 on, Pillow takes the
 * vertical pass of tall pictures first, which moves some values by one or two.)
 *
 * The preprocessing has one implementation, runtime/image. This second one exists because no Python runs in a page,
 * and a canvas's own scaling differs by many gray levels from browser to browser; a test compares it with Pillow
 * and runtime/image pixel by pixel.
 */

const FRACTION_BITS = 32 - 8 - 2;
const ONE = 1 << FRACTION_BITS;
const HALF = ONE >> 1;
const CHANNELS = 4;

const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

function cubic(x) {
  const distance = Math.abs(x);
  if (distance < 1) return (1.5 * distance - 2.5) * distance * distance + 1;
  return distance < 2 ? (((distance - 5) * distance + 8) * distance - 4) * -0.5 : 0;
}

const FILTERS = {
  box: { support: 0.5, curve: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, curve: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, curve: cubic },
  lanczos: { support: 3, curve: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/**
 * The input positions that contribute to each output position of one axis, with their weights.
 *
 * @param {number} size length of the input.
 * @param {number} low, high the part of the input that is resized, in input positions.
 * @param {number} target length of the output.
 * @returns {{first: number, weights: Int32Array}[]} one for each output position; weights sum to 2**22 up to rounding.
 */
function contributions(size, low, high, target, filter) {
  const { support, curve } = FILTERS[filter];
  const scale = (high - low) / target;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: target }, (_, position) => {
    const center = low + (position + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support * stretch + 0.5));
    const last = Math.min(size, Math.trunc(center + support * stretch + 0.5));
    const values = Array.from({ length: last - first }, (_, i) => curve((i + first - center + 0.5) * (1 / stretch)));
    const sum = values.reduce((total, value) => total + value, 0);
    return { first, weights: Int32Array.from(values, (value) => round((value / sum) * ONE)) };
  });
}

const round = (value) => Math.trunc(value + (value < 0 ? -0.5 : 0.5));

/** One pass over lines of pixels; steps are in bytes, from pixel to pixel along the pass and from line to line. */
function pass(input, output, axis, lines, inStep, inLine, outStep, outLine) {
  for (let line = 0; line < lines; line++) {
    for (let position = 0; position < axis.length; position++) {
      const { first, weights } = axis[position];
      let at = line * inLine + first * inStep;
      let [red, green, blue, alpha] = [HALF, HALF, HALF, HALF];
      for (let i = 0; i < weights.length; i++, at += inStep) {
        const weight = weights[i];
        red += input[at] * weight;
        green += input[at + 1] * weight;
        blue += input[at + 2] * weight;
        alpha += input[at + 3] * weight;
      }
      const to = line * outLine + position * outStep; // the array clips to 0-255
      output[to] = red >> FRACTION_BITS;
      output[to + 1] = green >> FRACTION_BITS;
      output[to + 2] = blue >> FRACTION_BITS;
      output[to + 3] = alpha >> FRACTION_BITS;
    }
  }
}

/**
 * Resize a part of a picture, read a band of rows at a time, so that a large photo's pixels are never all held here.
 *
 * @param {{width: number, height: number, rows: function(number, number): Uint8ClampedArray}} source its `rows(top,
 *   count)` gives premultiplied RGBA.
 * @param {number[]} box left, top, right and bottom of the part, in pixels, perhaps halves of them.
 * @param {number} width, height of the result.
 * @param {string} filter a key of FILTERS, or bilinear-no-antialias.
 * @returns {Uint8ClampedArray} premultiplied RGBA, height x width x 4.
 */
export function resample(source, box, width, height, filter) {
  if (filter === "bilinear-no-antialias") return sample(source, box, width, height);
  const [left, top, right, bottom] = box;
  const across = left !== 0 || right !== source.width || width !== source.width;
  const down = top !== 0 || bottom !== source.height || height !== source.height;
  const columns = across && contributions(source.width, left, right, width, filter);
  const rows = down && contributions(source.height, top, bottom, height, filter);
  const begin = down ? rows[0].first : 0;
  const end = down ? rows[height - 1].first + rows[height - 1].weights.length : source.height;

  const line = width * CHANNELS;
  const narrow = new Uint8ClampedArray((end - begin) * line);
  const band = Math.max(1, Math.floor(2 ** 20 / source.width));
  for (let row = begin; row < end; row += band) {
    const count = Math.min(band, end - row);
    const input = source.rows(row, count);
    const output = narrow.subarray((row - begin) * line);
    if (across) pass(input, output, columns, count, CHANNELS, source.width * CHANNELS, CHANNELS, line);
    else output.set(input);
  }
  if (!down) return narrow;
  const result = new Uint8ClampedArray(height * line);
  const shifted = rows.map(({ first, weights }) => ({ first: first - begin, weights }));
  pass(narrow, result, shifted, width, line, CHANNELS, line, CHANNELS);
  return result;
}

/** Resize without antialiasing, from the four pixels around each output's center; truncates, as Pillow's Geometry.c. */
function sample(source, [left, top, right, bottom], width, height) {
  const columns = neighbors(source.width, left, right, width);
  const rows = neighbors(source.height, top, bottom, height);
  const result = new Uint8ClampedArray(width * height * CHANNELS);
  let to = 0;
  for (const row of rows) {
    const above = source.rows(row.before, 1);
    const below = source.rows(row.after, 1);
    for (const column of columns) {
      for (let channel = 0; channel < CHANNELS; channel++, to++) {
        const across = (line) => mix(line[column.before * CHANNELS + channel], line[column.after * CHANNELS + channel], column.share);
        result[to] = Math.trunc(mix(across(above), across(below), row.share));
      }
    }
  }
  return result;
}

/** The two input positions around the center of each output position of one axis, and the weight of the second one. */
function neighbors(size, low, high, target) {
  const inside = (position) => Math.min(Math.max(position, 0), size - 1);
  return Array.from({ length: target }, (_, position) => {
    const at = low + ((high - low) / target) * (position + 0.5) - 0.5;
    const before = Math.floor(at);
    return { before: inside(before), after: inside(before + 1), share: at - before };
  });
}

const mix = (a, b, share) => a * (1 - share) + b * share;
