/** Replays the model's golden set, to check that this browser computes the expected probabilities. */

import { sizeOf } from "./pixels.js";

const CHANNELS = 4;

/**
 * @param {{rows: function(number, number): Uint8ClampedArray}} sheet the golden images, one below the other.
 * @param {{spec: {side: number, width?: number}, golden: {probabilities: number[][], tolerance: number}}} page
 * @param {function(Uint8Array): Promise<{probabilities: Float32Array}>} classify
 * @returns {Promise<{images: Uint8Array[], text: string, passed: boolean}>} the images as RGB pixels, and the verdict.
 */
export async function replay(sheet, { spec, golden }, classify) {
  const { height, width } = sizeOf(spec);
  const images = golden.probabilities.map((_, index) => withoutAlpha(sheet.rows(index * height, height)));
  let difference = 0;
  for (const [index, expected] of golden.probabilities.entries()) {
    const { probabilities: answer } = await classify(images[index]);
    difference = Math.max(difference, ...expected.map((value, at) => Math.abs(value - answer[at])));
  }
  const passed = difference <= golden.tolerance;
  const most = difference < 0.0001 ? "less than 0.0001" : `up to ${difference.toFixed(4)}`;
  const measured =
    `on the ${images.length} pictures of ${width} × ${height} pixels that the model carries, probabilities ` +
    `differ by ${most} (${golden.tolerance} allowed)`;
  const text = passed
    ? `This browser computes what was computed where the model was built: ${measured}. ` +
      "Photos are decoded and resized here first, which this does not test."
    : `This browser does not compute what was computed where the model was built: ${measured}. Do not trust it.`;
  return { images, text, passed };
}

function withoutAlpha(rgba) {
  const pixels = new Uint8Array((rgba.length / CHANNELS) * 3);
  for (let pixel = 0; pixel < rgba.length / CHANNELS; pixel++) {
    pixels.set(rgba.subarray(CHANNELS * pixel, CHANNELS * pixel + 3), 3 * pixel);
  }
  return pixels;
}
