"use strict";

const EVERY_MS = 500;
const view = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));
let frame = null;
let lastShown = null;

async function look() {
  try {
    const answer = await fetch("api/state");
    if (!answer.ok) throw new Error(answer.status === 401 ? "the token is missing or wrong" : `status ${answer.status}`);
    show(await answer.json());
  } catch (error) {
    say(`No answer from the device: ${error.message}`, true);
  }
  setTimeout(look, document.hidden ? 10 * EVERY_MS : EVERY_MS);
}

function show(state) {
  view.on.textContent = state.labels.join(", ") || "Nothing";
  document.title = state.labels.join(", ") || "Camera";
  if (state.status === "ok") say(`${state.frames_per_second} frames a second`, false);
  else if (state.status === "late") say("No frame comes from the camera", true);
  else say("Waiting for the first frame", false);
  view.foot.textContent =
    `${state.model}: ${state.classified} frames classified, ${state.dropped} dropped, ${state.broken} broken`;
  if (state.frame !== null && state.frame !== frame && !document.hidden) {
    frame = state.frame;
    view.picture.src = `frame.jpg?${frame}`;
    view.picture.hidden = false;
  }
  view.bars.replaceChildren(...state.top.map(bar));
  const last = state.events.length ? state.events.at(-1).number : null;
  if (last !== lastShown) {
    lastShown = last;
    view.events.replaceChildren(...state.events.toReversed().map(line));
    view.none.hidden = state.events.length > 0;
  }
}

function bar({ label, probability }) {
  const item = document.createElement("li");
  const name = document.createElement("span");
  const share = document.createElement("span");
  const meter = document.createElement("meter");
  name.textContent = label;
  share.textContent = `${(100 * probability).toFixed(1)} %`;
  meter.value = probability;
  meter.setAttribute("aria-label", label);
  item.append(name, share, meter);
  return item;
}

function line(event) {
  const item = document.createElement("li");
  const rest = event.event === "begins" ? `(${Math.round(100 * event.probability)} %)` : `after ${event.seconds.toFixed(1)} s`;
  item.textContent = `${new Date(event.time).toLocaleTimeString()} ${event.label} ${event.event} ${rest}`;
  return item;
}

function say(text, isBad) {
  view.status.textContent = text;
  view.status.classList.toggle("bad", isBad);
}

look();
