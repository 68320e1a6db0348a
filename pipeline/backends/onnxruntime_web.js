/** The benchmark's half inside the page: onnxruntime_web.py asks, and the clock is read here, next to the engine. */

import { load } from "./classifier.js";

let classify;
const batches = new Map();

const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

export async function open(side, threads) {
  const model = await (await fetch("./model.onnx")).arrayBuffer();
  classify = await load(model, side, threads);
}

export async function run(pixels) {
  return Array.from(await classify(bytes(pixels)));
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
