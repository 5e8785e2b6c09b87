// The pictures that img2img and inpaint start from: the drop zone in the column, the canvas on the stage.

import { api, uploadUrl } from "./api.js";
import { on, tell } from "./bus.js";
import { button, el, fill, icon, pictureFile } from "./dom.js";
import { isSmall } from "./fit.js";
import * as form from "./form.js";
import { active } from "./jobs.js";
import { checkpoint } from "./models.js";
import * as notices from "./notices.js";
import { keep, keepBlob, keptBlob, store } from "./store.js";

const STEP = 8; // widths and heights are multiples of this
const LEAST = 64;
const MOST = 2048;

let canvas = null; // the mask painter
let canvasWanted = true;
const zones = new Map(); // by task

const painted = (task) => Boolean(form.tab(task)?.takesMask);

// -- the column ------------------------------------------------------------------------------------------------------

export function zone(place) {
  zones.set(place.dataset.tab, place);
  drawZone(place.dataset.tab);
}

function drawZone(task) {
  const place = zones.get(task);
  if (!place) return;
  const picture = store.pictures[task];
  const file = pictureFile(`Picture file for ${task}`, (chosen) => offered(task, chosen));
  const choose = () => file.click();
  if (!picture) {
    const words = el("span", { text: "Choose a picture, or drop one here" });
    return fill(place, el("button", { type: "button", class: "sl-drop", on: { click: choose } }, icon("picture"), words), file);
  }
  const thumb = el("img", { src: uploadUrl(picture.id), alt: "The picture to start from", class: "sl-thumb" });
  thumb.classList.toggle("sl-crisp", isSmall(picture.width, picture.height));
  const size = el("span", { text: `${picture.width} × ${picture.height}` });
  const words = el("div", { class: "sl-source-words" }, el("strong", { text: picture.name || "Picture" }), size);
  const tools = [
    button({ label: "Replace picture", icon: "swap", quiet: true, onclick: choose }),
    button({ label: "Remove picture", icon: "trash", quiet: true, onclick: () => remove(task) }),
  ];
  fill(place, el("div", { class: "sl-source" }, thumb, words, ...tools), file);
}

/** Take a picture as what `task` starts from: upload it, show it, and fit the size to its shape. */
export async function use(task, blob, name = "") {
  notices.clearFields();
  const { id, width, height } = await api.upload(blob);
  adopt(task, { id, width, height, name });
}

/** A file that the user gave this tab; what is wrong with it is told there. */
export function offered(task, file) {
  use(task, file, file.name).catch((error) => notices.wrong(task, Object.assign(error, { field: "image" })));
}

/** The same for a picture that the studio has already. */
export function adopt(task, picture) {
  remember(task, picture);
  if (!painted(task)) return;
  keepBlob(`mask ${task}`, null).catch(() => {});
  showOnCanvas(task);
  showCanvas(true);
}

function remember(task, picture) {
  store.pictures[task] = picture;
  keep();
  form.fill(task, workingSize(task, picture));
  drawZone(task);
}

export function remove(task) {
  delete store.pictures[task];
  keep();
  if (painted(task)) {
    keepBlob(`mask ${task}`, null).catch(() => {});
    canvas?.clearPicture();
    tell("canvas");
  }
  drawZone(task);
}

/** The picture's own size where the model can work at it, else its shape at about the model's native size. */
function workingSize(task, { width, height }) {
  const [w, h] = checkpoint(form.value(task, "checkpoint"))?.native_size ?? [512, 512];
  const share = (w * h) / (width * height);
  const least = LEAST / Math.min(width, height); // so that the shape is kept also where one side is at its smallest
  const scale = Math.max(least, share > 0.4 && share < 2.5 ? 1 : Math.sqrt(share));
  const round = (side) => Math.min(MOST, Math.max(LEAST, Math.round((side * scale) / STEP) * STEP));
  return { width: round(width), height: round(height) };
}

/** The blobs that a request of this task needs; a `StudioError`-like error names what is missing. */
export async function inputs(task) {
  const { takesPicture, takesMask } = form.tab(task);
  if (!takesPicture) return {};
  const picture = store.pictures[task];
  if (!picture) throw Object.assign(new Error("Choose a picture to start from."), { field: "image" });
  if (!takesMask) return { image: picture.id };
  if (!canvas?.hasMask()) {
    showCanvas(true);
    throw Object.assign(new Error("Paint over the part of the picture that should change."), { field: "mask_image" });
  }
  const mask = await api.upload(await canvas.exportMask());
  return { image: picture.id, mask_image: mask.id };
}

// -- the stage -------------------------------------------------------------------------------------------------------

export function mountCanvas(place) {
  let planned = 0;
  const onchange = ({ reason, pictureId }) => {
    notices.clearFields();
    notices.hide("canvas");
    if (reason === "upload") brought(pictureId);
    clearTimeout(planned);
    planned = setTimeout(rememberMask, 600);
  };
  canvas = window.safelight.canvas.mount(place, { onchange, onerror: (sentence) => notices.show(sentence, { key: "canvas" }) });
  if (store.pictures[painting()]) restoreCanvas(painting());
}

/** The tab that the canvas belongs to. */
const painting = () => form.tasks().find(painted);

/** The user gave the canvas a picture itself. */
function brought(id) {
  const task = painting();
  const picture = { id, ...canvas.pictureSize(), name: canvas.pictureBlob()?.name ?? "" };
  if (store.pictures[task]?.id === id) return;
  remember(task, picture);
}

async function showOnCanvas(task) {
  const { id } = store.pictures[task];
  await canvas?.setPicture(uploadUrl(id), id);
  tell("canvas");
}

async function restoreCanvas(task) {
  const mask = await keptBlob(`mask ${task}`).catch(() => null);
  await showOnCanvas(task);
  if (mask) await canvas.setMask(mask);
}

async function rememberMask() {
  const mask = canvas.hasMask() ? await canvas.exportMask() : null;
  await keepBlob(`mask ${painting()}`, mask).catch(() => {}); // without it the mask is only lost on reload
}

/** Whether the stage shows the canvas rather than a picture. */
export const canvasShown = () => Boolean(canvas) && painted(store.tab) && canvasWanted;

export function showCanvas(wanted) {
  if (canvasWanted === wanted) return;
  canvasWanted = wanted;
  tell("canvas");
}

/** The switch above the stage, there while a tab with a canvas is open. */
export function stageSwitch() {
  const side = (label, wanted) => el("button", { type: "button", text: label, on: { click: () => showCanvas(wanted) } });
  const sides = [side("Canvas", true), side("Picture", false)];
  const node = el("div", { class: "sl-switcher", role: "group", aria: { label: "Stage shows" } }, ...sides);
  const draw = () => {
    node.hidden = !painted(store.tab);
    sides.forEach((each, index) => each.setAttribute("aria-pressed", String(canvasShown() === (index === 0))));
  };
  for (const name of ["canvas", "tab", "view"]) on(name, draw);
  draw();
  return node;
}

export function openTab(task) {
  document.getElementById(`${task}-tab-button`)?.click();
}

/** After a reload: pictures that the studio no longer has are forgotten. */
export async function checkPictures() {
  for (const [task, { id }] of Object.entries(store.pictures)) {
    const answer = await fetch(uploadUrl(id)).catch(() => null);
    if (answer?.status !== 404) continue;
    remove(task);
    notices.show(`The picture that ${task} started from is no longer kept; choose it again.`, { kind: "well" });
  }
}

on("tab", (task) => painted(task) && active().length === 0 && showCanvas(true));

// Another checkpoint has another native size; the picture's shape stays.
on("chosen", (task) => store.pictures[task] && form.fill(task, workingSize(task, store.pictures[task])));
