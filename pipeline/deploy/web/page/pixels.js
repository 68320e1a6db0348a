/** Preprocesses a decoded, upright picture as runtime/image does: RGB pixels of the size in the model's spec. */

import { resample } from "./resample.js";

const CHANNELS = 4;

/** Height and width of a model's input in pixels, by its spec. */
export const sizeOf = ({ side, width }) => ({ height: side, width: width ?? side });

/**
 * @param {{width: number, height: number, rows: function(number, number): Uint8ClampedArray}} picture its `rows(top,
 *   count)` gives RGBA, not premultiplied.
 * @param {{side: number, width?: number, resize: string, resize_filter: string, fill: number[]}} spec
 * @returns {Uint8Array} RGB 0-255, height x width x 3.
 */
export function toPixels(picture, spec) {
  const { fill } = spec;
  const whole = sizeOf(spec);
  const { box, width, height } = plan(picture.width, picture.height, spec);
  const source = { ...picture, rows: (top, count) => premultiply(picture.rows(top, count)) };
  const small = resample(source, box, width, height, spec.resize_filter);

  const pixels = new Uint8Array(whole.width * whole.height * 3);
  for (let at = 0; at < pixels.length; at++) pixels[at] = fill[at % 3];
  const [left, top] = [Math.floor((whole.width - width) / 2), Math.floor((whole.height - height) / 2)];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const from = (row * width + column) * CHANNELS;
      const to = ((row + top) * whole.width + column + left) * 3;
      const alpha = small[from + 3];
      for (let channel = 0; channel < 3; channel++) {
        pixels[to + channel] = over(small[from + channel], alpha, fill[channel]);
      }
    }
  }
  return pixels;
}

/** The part of the picture that is used (`box`), and the size in pixels to which it is resized. */
function plan(width, height, spec) {
  const { width: across, height: down } = sizeOf(spec);
  if (spec.resize === "crop") {
    const isWide = width * down > height * across;
    const part = isWide ? [(height * across) / down, height] : [width, (width * down) / across];
    const [left, top] = [(width - part[0]) / 2, (height - part[1]) / 2];
    return { box: [left, top, left + part[0], top + part[1]], width: across, height: down };
  }
  const box = [0, 0, width, height];
  if (spec.resize === "stretch") return { box, width: across, height: down };
  const scale = Math.min(across / width, down / height);
  return { box, width: Math.max(1, roundToEven(width * scale)), height: Math.max(1, roundToEven(height * scale)) };
}

/** Python's `round`. */
function roundToEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/** Multiply colors by alpha, in place, so that a filter weighs them by their opacity. */
function premultiply(pixels) {
  for (let at = 0; at < pixels.length; at += CHANNELS) {
    const alpha = pixels[at + 3];
    if (alpha === 255) continue;
    for (let channel = at; channel < at + 3; channel++) pixels[channel] = Math.round((pixels[channel] * alpha) / 255);
  }
  return pixels;
}

/** Compose a premultiplied value over a background; like Pillow, it first rounds the plain value to 8 bits. */
function over(value, alpha, background) {
  if (alpha === 255) return value;
  if (alpha === 0) return background;
  const plain = Math.min(255, Math.trunc((255 * value) / alpha));
  return Math.round((plain * alpha + background * (255 - alpha)) / 255);
}
