// The canvases on the stage: one for each tab that starts from a picture, made when it is first needed.

import { uploadUrl } from "./api.js";
import { tell } from "./bus.js";
import { el } from "./dom.js";
import * as form from "./form.js";
import { keepBlob, keptBlob, store } from "./store.js";

const canvases = new Map(); // by task: {canvas, node, ready}
let place = null;
let changed = () => {}; // what the page does when a canvas has changed

const WORDS = {
  mask: { label: "Canvas for inpaint", hint: "Then paint over what should be made anew." },
  sketch: { label: "Canvas for a picture to start from", hint: "Sketch over it with colour, if you like." },
};

/** Whether a tab has a canvas: one that makes a picture of the same shape out of another. */
export const has = (task) => {
  const { takesPicture = false, fitsPicture = false, moves = false } = form.tab(task) ?? {};
  return takesPicture && fitsPicture && !moves;
};

/** Where canvases go; `whenChanged(task, change)` hears of every change. */
export function mountAt(node, whenChanged) {
  place = node;
  changed = whenChanged;
}

/** The canvas of a tab, made if need be; null where a tab has none. */
export function of(task) {
  if (!canvases.has(task) && place && has(task)) canvases.set(task, made(task));
  return canvases.get(task)?.canvas ?? null;
}

function made(task) {
  const masked = form.tab(task).takesMask;
  const node = el("div", { class: "sl-canvas-of", data: { task } });
  place.append(node);
  const canvas = window.safelight.canvas.mount(node, {
    ...WORDS[masked ? "mask" : "sketch"],
    layers: masked ? ["picture", "sketch", "mask"] : ["picture", "sketch"],
    blank: masked ? undefined : () => ({ width: form.value(task, "width") ?? 512, height: form.value(task, "height") ?? 512 }),
    keep: { read: (name) => keptBlob(`${task} ${name}`), write: (name, value) => keepBlob(`${task} ${name}`, value) },
    onchange: (change) => changed(task, change),
  });
  return { canvas, node, ready: canvas.restored.then(() => agree(task, canvas)) };
}

/** After a reload: what the canvas kept and what the page remembers are the same picture, or the page's counts. */
async function agree(task, canvas) {
  // What was kept without its id is sent again: the studio names pictures by their content.
  const id = canvas.hasPicture() ? await canvas.whenUploaded().catch(() => null) : null;
  const wanted = store.pictures[task];
  if (wanted && id !== wanted.id) await canvas.setPicture(uploadUrl(wanted.id), wanted.id);
  else if (!wanted && id) changed(task, { reason: "upload", pictureId: id });
  tell("canvas");
}

/** The canvas of a tab once it shows what belongs on it. */
export async function ready(task) {
  const canvas = of(task);
  await canvases.get(task)?.ready.catch(() => {}); // what it could not show, it has told
  return canvas;
}

/** Shows a picture that the studio has. */
export function show(task, { id }) {
  const canvas = of(task);
  if (!canvas) return;
  const each = canvases.get(task);
  each.ready = canvas.restored.then(() => canvas.setPicture(uploadUrl(id), id)).then(() => tell("canvas"));
}

/** Scrolls the page to what a canvas says: on a phone it may be out of sight. */
export function reveal(task) {
  const { top } = canvases.get(task).node.querySelector(".sl-painter-notice").getBoundingClientRect();
  if (top < 0 || top > innerHeight / 2) scrollBy({ top: top - innerHeight / 4, behavior: "smooth" });
}

/** Only the open tab's canvas is seen. */
export function turnTo(task) {
  of(task);
  for (const [name, { node }] of canvases) node.hidden = name !== task;
}
