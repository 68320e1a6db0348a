/** The benchmark's half inside the page: onnxruntime_web.py asks, and the clock is read here, next to the engine. */

import { load } from "./classifier.js";
import { decode, readable } from "./picture.js";
import { sizeOf, toPixels } from "./pixels.js";

let classify, spec, file;
const batches = new Map();

const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

export async function open(modelSpec, threads) {
  spec = modelSpec;
  const model = await (await fetch("./model.onnx")).arrayBuffer();
  classify = await load(model, sizeOf(spec), threads);
}

export async function run(pixels) {
  return Array.from((await classify(bytes(pixels))).probabilities);
}

/** Keep batches of one size, each as base64 of its pixels. */
export function use(batch, pixels) {
  batches.set(batch, pixels.map(bytes));
}

/** Nanoseconds of each of `runs` runs, which go through the batches from the `first` on. */
export async function time(batch, first, runs) {
  const pixels = batches.get(batch);
  for (const values of pixels.slice(0, 1 + Math.floor(runs / 10))) await classify(values);
  const nanoseconds = [];
  for (let index = first; index < first + runs; index++) {
    const start = performance.now();
    await classify(pixels[index % pixels.length]);
    nanoseconds.push(Math.round((performance.now() - start) * 1e6));
  }
  return nanoseconds;
}

/** Keep an image file, as base64; returns whether the browser reads such files. */
export async function take(content) {
  file = new Blob([bytes(content)]);
  return decode(file, spec).then(() => true, () => false);
}

/** Nanoseconds of every part of the way from that file to its label, and of the way in one go, `runs` times. */
export async function photo(runs) {
  const nanoseconds = { read: [], decode: [], resize: [], inference: [], total: [] };
  for (let run = 0; run < runs; run++) {
    const marks = [performance.now()];
    const mark = () => marks.push(performance.now());
    const content = await file.arrayBuffer();
    mark();
    const bitmap = await decode(new Blob([content]), spec);
    mark();
    const pixels = toPixels(readable(bitmap), spec);
    mark();
    await classify(pixels);
    mark();
    await classify(toPixels(readable(await decode(file, spec)), spec));
    mark();
    Object.values(nanoseconds).forEach((kept, part) => kept.push(Math.round((marks[part + 1] - marks[part]) * 1e6)));
  }
  return nanoseconds;
}
