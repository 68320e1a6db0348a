/** Connects the page's controls with the classifier and shows its answers. */

import * as camera from "./camera.js";
import { load } from "./classifier.js";
import { replay } from "./golden.js";
import { decode, readable } from "./picture.js";
import { sizeOf, toPixels } from "./pixels.js";
import * as view from "./view.js";

const TOP = 5;
const FRAME_MS = 150;
const NOTHING = "No picture came along: drop or paste a picture itself, not its name or address.";

const here = (name) => new URL(name, import.meta.url);
let page, classify;
let turn = 0; // number of the current picture or camera session; results of earlier ones are dropped
let list = 0; // likewise, number of the current choice of pictures
let closeCamera = () => {};

async function fetched(name) {
  const response = await fetch(here(name), { cache: "no-cache" });
  if (!response.ok) throw new Error(`${name}: the server answers ${response.status}`);
  return response;
}

async function begin() {
  try {
    page = await (await fetched("page.json")).json();
    view.say(`Loading the network and its engine, ${Math.round(page.download_bytes / 1e6)} MB the first time …`);
    classify = await load(await (await fetched(page.model)).arrayBuffer(), sizeOf(page.spec));
    if (page.golden) await useGolden();
  } catch (error) {
    view.complain(`The page cannot be used: ${error.message}. Load it again, or write it anew.`);
    return;
  }
  view.ready(page);
}

async function useGolden() {
  const bitmap = await decode(await (await fetched("golden.png")).blob(), page.spec);
  const { images, text, passed } = await replay(readable(bitmap), page, classify);
  view.golden(text, passed);
  view.samples(images, sizeOf(page.spec), (canvas) => lookAt(createImageBitmap(canvas)));
}

/** Stop the current activity and begin a new turn; returns a function that tells whether this turn is still current. */
function take() {
  const mine = ++turn;
  closeCamera();
  closeCamera = () => {};
  view.live(false);
  return () => mine === turn;
}

async function lookAt(coming) {
  const lasts = take();
  view.busy(true);
  view.say("Looking …");
  try {
    const start = performance.now();
    const bitmap = await coming;
    const reading = performance.now() - start;
    if (!lasts()) return;
    view.still(bitmap);
    const answer = await answerTo(bitmap, { reading });
    if (lasts()) view.show(answer);
  } catch (error) {
    if (lasts()) view.complain(error.message);
  }
}

async function watch() {
  const lasts = take();
  view.say("Waiting for the camera …");
  try {
    const close = await camera.open(view.camera);
    if (!lasts()) return close();
    closeCamera = close;
    view.live(true);
    while (lasts()) {
      const answer = await answerTo(await createImageBitmap(view.camera), {});
      if (lasts()) view.show(answer);
      await new Promise((resolve) => setTimeout(resolve, FRAME_MS));
    }
  } catch (error) {
    if (!lasts()) return;
    take();
    view.complain(error.message);
  }
}

async function answerTo(bitmap, times) {
  const { spec } = page;
  const start = performance.now();
  const pixels = toPixels(readable(bitmap), spec);
  const resized = performance.now();
  const { probabilities, familiarity } = await classify(pixels);
  times = { ...times, resizing: resized - start, network: performance.now() - resized };
  bitmap.close();
  const ranked = spec.class_names
    .map((name, index) => [name, probabilities[index], spec.thresholds?.[index] ?? 0.5])
    .sort(([, one], [, other]) => other - one);
  const reached = ranked.filter(([, probability, threshold]) => probability >= threshold).map(([name]) => name);
  const labels = spec.output === "sigmoid" ? reached : null; // the labels of the picture; null if the model gives one class
  const top = ranked.slice(0, TOP);
  const isConfident = top[0][1] >= (spec.confidence_threshold ?? spec.abstain ?? 0);
  const isFamiliar = !familiarity || familiarity[0] >= (spec.known_threshold ?? -Infinity);
  const isKnown = isFamiliar && (labels || top[0][0] !== "none");
  return { pixels, size: sizeOf(spec), top, labels, isConfident, isKnown, times };
}

function lookAtFile(file) {
  return lookAt(file ? decode(file, page.spec) : Promise.reject(new Error(NOTHING)));
}

/** Show the first file, and classify all files one after the other in a list, from which each can be shown. */
async function lookAtFiles(files) {
  const mine = ++list;
  const cards = view.list(files.length > 1 ? files : [], lookAtFile);
  await lookAtFile(files[0]);
  for (const [index, card] of cards.entries()) {
    if (mine !== list) return;
    try {
      const bitmap = await decode(files[index], page.spec);
      card.picture(bitmap);
      card.answer(await answerTo(bitmap, {}));
    } catch (error) {
      card.complain(error.message);
    }
  }
}

view.file.addEventListener("change", () => {
  const files = [...view.file.files];
  view.file.value = ""; // so that the same files may be chosen again
  if (files.length) lookAtFiles(files);
});
view.cameraButton.addEventListener("click", () => {
  if (view.cameraButton.getAttribute("aria-pressed") === "false") return watch();
  take();
  view.say("The camera is off.");
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  view.stage.classList.add("over");
});
addEventListener("dragleave", () => view.stage.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  view.stage.classList.remove("over");
  if (classify) lookAtFiles([...event.dataTransfer.files]);
});
addEventListener("paste", (event) => {
  if (classify) lookAtFiles([...event.clipboardData.files]);
});

begin();
