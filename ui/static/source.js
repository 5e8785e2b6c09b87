// The pictures that img2img and inpaint start from: the drop zone in the column, the canvas on the stage.

import { api, uploadUrl } from "./api.js";
import { on, tell } from "./bus.js";
import * as canvases from "./canvases.js";
import { button, el, fill, icon, pictureFile } from "./dom.js";
import { isSmall } from "./fit.js";
import * as form from "./form.js";
import { active } from "./jobs.js";
import { checkpoint } from "./models.js";
import * as notices from "./notices.js";
import { keep, store } from "./store.js";

const STEP = 8; // widths and heights are multiples of this
const LEAST = 64;
const MOST = 2048;
const SIDES = ["left", "right", "top", "bottom"]; // a picture that is extended needs no mask

let canvasWanted = true;
const framed = {}; // by task: the size that the canvas's frame had last
const extents = {}; // by task: what the fields for the area and the sides said last
const zones = new Map(); // by task

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
  if (!canvases.has(task)) return;
  canvases.show(task, picture);
  showCanvas(true);
}

function remember(task, picture) {
  store.pictures[task] = picture;
  keep();
  form.fill(task, workingSize(task, outlined(task, picture)));
  drawZone(task);
}

export function remove(task) {
  delete store.pictures[task];
  keep();
  canvases.ready(task).then((canvas) => store.pictures[task] || canvas?.clearPicture());
  drawZone(task);
}

/** A size with what a tab's fields add to it. */
function outlined(task, { width, height }) {
  if (!form.tab(task).takesMask) return { width, height };
  const added = (side) => form.value(task, `outpaint_${side}`) || 0;
  return { width: width + added("left") + added("right"), height: height + added("top") + added("bottom") };
}

/** The picture's own size where the model can work at it, else its shape at about the model's native size. */
function workingSize(task, { width, height }) {
  const [w, h] = checkpoint(form.value(task, "checkpoint"))?.native_size ?? [512, 512];
  const alone = form.value(task, "inpaint_area") === "masked"; // a part of the picture, enlarged to what the model is best at
  if (!form.tab(task).fitsPicture || alone) return { width: w, height: h };
  const share = (w * h) / (width * height);
  const least = LEAST / Math.min(width, height); // so that the shape is kept also where one side is at its smallest
  const near = share > (form.tab(task).moves ? 0.95 : 0.4) && share < 2.5; // clips take much memory
  const scale = Math.max(least, near ? 1 : Math.sqrt(share));
  const round = (side) => Math.min(MOST, Math.max(LEAST, Math.round((side * scale) / STEP) * STEP));
  return { width: round(width), height: round(height) };
}

/** The blobs that a request of this task needs; a `StudioError`-like error names what is missing. */
export async function inputs(task) {
  const { takesPicture, takesMask } = form.tab(task);
  if (!takesPicture) return {};
  const picture = store.pictures[task];
  const canvas = await canvases.ready(task);
  if (!(canvas ? canvas.hasPicture() : picture)) throw Object.assign(new Error("Choose a picture to start from."), { field: "image" });
  if (!canvas) return { image: picture.id };
  const extended = takesMask && SIDES.some((side) => form.value(task, `outpaint_${side}`) > 0);
  if (!takesMask || (extended && !canvas.hasMask())) return { image: await sent(canvas, () => canvas.sendPicture(), "image") };
  if (!canvas.hasMask()) {
    throw Object.assign(new Error("Paint over the part of the picture that should change."), { field: "mask_image" });
  }
  return {
    image: await sent(canvas, () => canvas.sendPicture(), "image"),
    mask_image: await sent(canvas, () => canvas.sendMask(), "mask_image"),
  };
}

/** The upload that a canvas sends, anew where the studio has lost it; what is wrong with it is told at its field. */
async function sent(canvas, send, field) {
  try {
    const id = await send();
    const answer = await fetch(uploadUrl(id), { cache: "no-store" });
    answer.body?.cancel();
    if (answer.status !== 404) return id;
    await canvas.resend();
    return await send();
  } catch (error) {
    throw Object.assign(error, { field });
  }
}

// -- the stage -------------------------------------------------------------------------------------------------------

export function mountCanvas(place) {
  canvases.mountAt(place, changed);
  canvases.turnTo(store.tab);
}

/** A canvas has changed: by hand, or because it shows another picture. */
function changed(task, { reason, pictureId }) {
  notices.clearFields();
  if (reason === "upload") brought(task, pictureId);
  tell("painted", task);
  const size = canvases.of(task).frameSize();
  const words = size && `${size.width} ${size.height}`;
  if (words && framed[task] && framed[task] !== words && reason !== "picture") form.fill(task, workingSize(task, outlined(task, size)));
  framed[task] = words;
}

/** The user gave the canvas a picture itself. */
function brought(task, id) {
  const canvas = canvases.of(task);
  if (store.pictures[task]?.id !== id) remember(task, { id, ...canvas.pictureSize(), name: canvas.pictureBlob()?.name ?? "" });
}

/** Whether the stage shows the canvas rather than a picture. */
export const canvasShown = () => canvases.has(store.tab) && canvasWanted;

export function showCanvas(wanted) {
  if (canvasWanted === wanted) return;
  canvasWanted = wanted;
  tell("canvas");
}

/** Says on a tab's canvas what is wrong with its picture or mask; the canvas forgets it when it changes. */
function refuse(task, words) {
  if (task === store.tab) showCanvas(true);
  canvases.of(task).say(words);
  if (task === store.tab) canvases.reveal(task);
}

on("refused", ({ task, words }) => refuse(task, words));
on("submitted", () => canvases.of(store.tab)?.say(null));

/** The switch above the stage, there while a tab with a canvas is open. */
export function stageSwitch() {
  const side = (label, wanted) => el("button", { type: "button", text: label, on: { click: () => showCanvas(wanted) } });
  const sides = [side("Canvas", true), side("Picture", false)];
  const node = el("div", { class: "sl-switcher", role: "group", aria: { label: "Stage shows" } }, ...sides);
  const draw = () => {
    node.hidden = !canvases.has(store.tab);
    sides.forEach((each, index) => each.setAttribute("aria-pressed", String(canvasShown() === (index === 0))));
  };
  for (const name of ["canvas", "tab", "view"]) on(name, draw);
  draw();
  return node;
}

export function openTab(task) {
  document.getElementById(`${task}-tab-button`)?.click();
}

/** After a reload: pictures that the studio no longer has are sent again from the canvas, or forgotten. */
export async function checkPictures() {
  for (const [task, { id }] of Object.entries(store.pictures)) {
    const answer = await fetch(uploadUrl(id)).catch(() => null);
    if (answer?.status !== 404) continue;
    const canvas = await canvases.ready(task);
    const again = canvas?.hasPicture() ? await canvas.resend().catch(() => null) : null;
    if (again) {
      store.pictures[task].id = again;
      keep();
      drawZone(task);
      continue;
    }
    remove(task);
    if (canvas) refuse(task, "The picture that this started from is no longer kept; choose it again.");
    else notices.show(`The picture that ${task} started from is no longer kept; choose it again.`, { kind: "well" });
  }
}

on("tab", (task) => {
  if (!canvases.has(task)) return;
  canvases.turnTo(task);
  if (active().length === 0) showCanvas(true);
});

/** The width and height to work at, anew; the picture's shape stays. */
function refit(task) {
  const size = canvases.of(task)?.frameSize() ?? store.pictures[task];
  if (size) form.fill(task, workingSize(task, outlined(task, size)));
}

on("chosen", refit); // another checkpoint has another native size

on("values", (task) => {
  if (!form.tab(task).takesMask) return;
  const now = `${form.value(task, "inpaint_area")} ${SIDES.map((side) => form.value(task, `outpaint_${side}`) || 0)}`;
  const before = extents[task];
  extents[task] = now;
  if (before !== undefined && before !== now) refit(task);
});
