/** The model file on ONNX Runtime Web: pixels to probabilities. */

import * as ort from "./onnxruntime-web.js";

ort.env.wasm.numThreads = 1; // more would need a server that sends cross-origin isolation headers
ort.env.wasm.wasmPaths = { wasm: new URL("onnxruntime-web.wasm", import.meta.url).href };
ort.env.logLevel = "error";

/**
 * @param {ArrayBuffer} model an ONNX file that takes uint8 pixels (N, S, S, 3).
 * @param {number} side S.
 * @returns {Promise<function(Uint8Array): Promise<Float32Array>>} RGB pixels of one image to its probabilities.
 */
export async function load(model, side) {
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  const [input] = session.inputNames;
  const [output] = session.outputNames;
  return async (pixels) => {
    const answers = await session.run({ [input]: new ort.Tensor("uint8", pixels, [1, side, side, 3]) });
    return answers[output].data;
  };
}
