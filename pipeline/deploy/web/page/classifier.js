/** Runs the model file on ONNX Runtime Web: pixels to probabilities. */

import * as ort from "./onnxruntime-web.js";

ort.env.wasm.wasmPaths = { wasm: new URL("onnxruntime-web.wasm", import.meta.url).href };
ort.env.logLevel = "error";

/**
 * @param {ArrayBuffer} model an ONNX file that takes uint8 pixels (N, H, W, 3).
 * @param {{height: number, width: number}} size of one image.
 * @param {number} threads more than one needs a server that sends cross-origin isolation headers.
 * @returns {Promise<function(Uint8Array): Promise<{probabilities: Float32Array, familiarity?: Float32Array}>>} a function
 *   from RGB pixels of N images to N * C probabilities, image after image, and N familiarity scores, if the file has them.
 */
export async function load(model, { height, width }, threads = 1) {
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  const [input] = session.inputNames;
  const [output, score] = session.outputNames;
  return async (pixels) => {
    const shape = [pixels.length / (3 * height * width), height, width, 3];
    const answers = await session.run({ [input]: new ort.Tensor("uint8", pixels, shape) });
    return { probabilities: answers[output].data, familiarity: answers[score]?.data };
  };
}
