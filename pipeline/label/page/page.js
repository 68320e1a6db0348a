"use strict";

const view = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));
let state = null;
let busy = false;

async function ask(path, body) {
  if (busy) return;
  busy = true;
  try {
    const options = body && { method: "POST", headers: { "X-Edgecnn": "label" }, body: JSON.stringify(body) };
    const answer = await fetch(path, options);
    const said = await answer.json();
    view.error.textContent = answer.ok ? "" : said.error;
    if (answer.ok) show(said);
  } catch (error) {
    view.error.textContent = `No answer: is the command still running? (${error.message})`;
  } finally {
    busy = false;
  }
}

/* Reason why the device has kept a frame -> text. */
const REASONS = {
  unsure: "not sure",
  unknown: "unlike all classes",
  changed: "the class changed",
  random: "chosen at random",
};

function show(now) {
  state = now;
  view.progress.textContent = now.name === null ? `All done: ${now.done} labeled. Stop the command with Ctrl-C.` : `${now.left} left, ${now.done} done`;
  view.picture.hidden = now.name === null;
  if (now.name !== null) view.picture.src = `picture/${encodeURIComponent(now.name)}`;
  const [best] = now.top;
  view.guess.textContent = best ? `The device says ${best.label}, ${Math.round(100 * best.probability)} % (${REASONS[now.reason] ?? now.reason})` : "";
  view.classes.replaceChildren(...choices().map(button));
  view.undo.disabled = now.done === 0;
}

/* The device's answers come first, so that the keys 1 to 9 are the most likely classes. */
function choices() {
  const ranked = state.top.map(({ label }) => label);
  return [...ranked, ...state.classes.filter((label) => !ranked.includes(label))];
}

function button(label, index) {
  const made = document.createElement("button");
  if (index < 9) {
    const key = document.createElement("kbd");
    key.textContent = index === 0 ? "1 ↵" : String(index + 1);
    made.append(key);
  }
  made.append(label);
  made.addEventListener("click", () => choose(label));
  return made;
}

const choose = (label) => state?.name && ask("label", { name: state.name, label });
const discard = () => state?.name && ask("discard", { name: state.name });
const undo = () => state?.done && ask("undo", {});

view.none.addEventListener("click", () => choose("none"));
view.discard.addEventListener("click", discard);
view.undo.addEventListener("click", undo);
view.other.addEventListener("submit", (event) => {
  event.preventDefault();
  const label = view.name.value.trim();
  if (label) choose(label);
  view.name.value = "";
  view.name.blur();
});
document.addEventListener("keydown", (event) => {
  if (event.target === view.name || event.ctrlKey || event.metaKey || event.altKey || event.repeat || !state) return;
  const key = event.key.toLowerCase();
  if (key === "enter" && event.target.closest("button")) return;
  const label = key === "enter" ? choices()[0] : /^[1-9]$/.test(key) ? choices()[Number(key) - 1] : null;
  if (label) choose(label);
  else if (key === "n") choose("none");
  else if (key === "d") discard();
  else if (key === "u") undo();
  else return;
  event.preventDefault();
});

ask("state");
