/** Updates the page's elements; does not use models. */

const find = (id) => document.getElementById(id);
const PREVIEW = 800;
const THUMBNAIL = 192;

export const [camera, cameraButton, file, stage] = ["camera", "camera-button", "file", "stage"].map(find);
const [preview, hint, seen, networkInput, verdict, bars, time, problem, pictures] = [
  "preview", "hint", "seen", "network-input", "verdict", "bars", "time", "problem", "pictures",
].map(find);
const answer = document.querySelector(".answer");
const percent = (value) => `${(100 * value).toFixed(1)}\u00a0%`;
const milliseconds = (value) => value.toFixed(value < 10 ? 1 : 0);

/** Describe the model in the page's footer and enable the controls. */
export function ready({ model, bytes, engine, spec }) {
  const size = `${Math.round(bytes / 1024)}\u00a0KiB`;
  const judged = spec.provenance?.accuracy === "out of fold" ? "photos, out of fold" : "validation images";
  const images = `${spec.accuracy_images.toLocaleString("en")} ${judged}`;
  const right = spec.accuracy === null ? "" : `, right on ${percent(spec.accuracy)} of ${images}`;
  find("about").textContent = `${model}: ${spec.class_names.length} classes, ${size}${right}. Runs on ${engine}.`;
  find("side").textContent = `seen at ${spec.width ?? spec.side} × ${spec.side}`;
  say("Choose a picture: its most probable classes appear here.");
  file.disabled = cameraButton.disabled = false;
}

/** Set the status line; it is written only when it changes, because screen readers read it aloud. */
export function say(text, isAnswer = false) {
  problem.hidden = true;
  verdict.hidden = text === "";
  verdict.classList.toggle("note", !isAnswer);
  if (verdict.textContent !== text) verdict.textContent = text;
  if (isAnswer) return;
  bars.replaceChildren();
  time.textContent = "";
}

/** Show an error instead of an answer. */
export function complain(text) {
  busy(false);
  say("");
  showOnly(hint);
  [problem.textContent, problem.hidden] = [text, false];
}

export function busy(is) {
  answer.setAttribute("aria-busy", is);
}

/** Show a still picture. */
export function still(bitmap) {
  draw(bitmap, preview, PREVIEW);
  showOnly(preview);
}

function draw(bitmap, canvas, most) {
  const scale = Math.min(1, most / Math.max(bitmap.width, bitmap.height));
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height].map((size) => Math.max(1, Math.round(size * scale)));
  canvas.classList.toggle("coarse", Math.max(bitmap.width, bitmap.height) <= 128);
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
}

/** Show the camera, or, when it is off, the hint to choose a picture. */
export function live(on) {
  cameraButton.setAttribute("aria-pressed", on);
  cameraButton.textContent = on ? "Stop the camera" : "Use the camera";
  if (on) showOnly(camera);
  else if (!camera.hidden) showOnly(hint);
}

function showOnly(shown) {
  for (const element of [preview, hint, camera]) element.hidden = element !== shown;
  seen.hidden = true;
}

/** Show an answer: the preprocessed picture, the most probable classes, and the time of each step in ms. */
export function show({ pixels, size, top, labels, isConfident, isKnown, times }) {
  paint(networkInput, pixels, size);
  seen.hidden = false;
  say(named(top, labels, isConfident, isKnown), true);
  bars.replaceChildren(...top.map(([name, probability]) => bar(name, probability)));
  const total = Object.values(times).reduce((sum, value) => sum + value, 0);
  const parts = Object.entries(times).map(([name, value]) => `${name} ${milliseconds(value)}`);
  time.textContent = `${milliseconds(total)} ms: ${parts.join(", ")}`;
  busy(false);
}

function named([[best]], labels, isConfident, isKnown) {
  const name = labels ? labels.join(", ") || "no label" : best;
  if (!isKnown) return best === "none" ? "None of these" : `None of these, most like ${best}`;
  return isConfident ? name : `Not sure, perhaps ${name}`;
}

/** Show files as cards; returns for each card functions that draw its picture, write its answer, or show an error. */
export function list(files, choose) {
  const cards = files.map((file) => {
    const [item, button, canvas, label, note] = ["li", "button", "canvas", "b", "span"].map((tag) =>
      document.createElement(tag),
    );
    [button.type, button.title, note.textContent] = ["button", file.name, file.name];
    button.append(canvas, label, note);
    button.addEventListener("click", () => choose(file));
    item.append(button);
    return {
      item,
      picture: (bitmap) => draw(bitmap, canvas, THUMBNAIL),
      answer: ({ top, labels, isConfident, isKnown }) =>
        (label.textContent =
          named(top, labels, isConfident, isKnown) + (labels?.length === 0 ? "" : ` ${percent(top[0][1])}`)),
      complain: (text) => ([label.textContent, button.title, label.className] = ["No picture", text, "failed"]),
    };
  });
  pictures.replaceChildren(...cards.map(({ item }) => item));
  pictures.hidden = cards.length === 0;
  return cards;
}

function bar(name, probability) {
  const [item, label, track, value] = ["li", "span", "span", "span"].map((tag) => document.createElement(tag));
  [label.className, track.className, value.className] = ["name", "track", "value"];
  [label.textContent, value.textContent] = [name, percent(probability)];
  track.style.setProperty("--share", probability);
  item.append(label, value, track);
  return item;
}

function paint(canvas, pixels, { height, width }) {
  [canvas.width, canvas.height] = [width, height];
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    image.data.set(pixels.subarray(3 * pixel, 3 * pixel + 3), 4 * pixel);
    image.data[4 * pixel + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Show buttons with pictures to try. */
export function samples(images, size, choose) {
  const group = find("samples");
  const buttons = images.map((pixels, index) => {
    const [button, canvas] = [document.createElement("button"), document.createElement("canvas")];
    [button.type, button.className, button.ariaLabel] = ["button", "sample", `Picture ${index + 1} to try`];
    paint(canvas, pixels, size);
    button.append(canvas);
    button.addEventListener("click", () => choose(canvas));
    return button;
  });
  group.replaceChildren(...buttons);
  group.hidden = false;
}

/** Show the result of replaying the golden set. */
export function golden(text, passed) {
  const line = find("golden");
  line.textContent = text;
  line.classList.toggle("failed", !passed);
}
