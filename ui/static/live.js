// Live mode: what is painted or typed becomes a picture at once, in a few steps; one is made at a time, always of the newest state.

import { api, ended } from "./api.js";
import { on, tell } from "./bus.js";
import * as canvases from "./canvases.js";
import * as control from "./control.js";
import * as form from "./form.js";
import * as notices from "./notices.js";
import * as source from "./source.js";
import { store } from "./store.js";
import * as view from "./view.js";

const MOST_STEPS = 8;
const SEEDS = 2 ** 32 - 8;
const SIDES = ["left", "right", "top", "bottom"]; // a picture that is extended needs no mask
const TYPING = 150; // ms without a key before what was typed counts
const SLOW = 1500; // ms: pictures that take longer are watched as they develop, in the second half of their steps
const LATELY = 5; // pictures that the reading is about

let session = null; // while Live is on

/** Whether the tab makes pictures that can follow: not clips, nor what needs no steps. */
export function able(task) {
  const tab = form.tab(task);
  return Boolean(tab && !tab.moves && tab.keys.includes("num_inference_steps") && (!tab.takesPicture || canvases.has(task)));
}

export const isOn = () => session !== null;

/** Whether the stage shows the live picture: beside the canvas, or in place of the picture where a tab has no canvas. */
export const shown = () => isOn() && able(store.tab) && (!canvases.has(store.tab) || source.canvasShown());

/** The seed that is held while Live is on; null while nothing was made. */
export const seed = () => session?.request?.seed ?? null;

/** What was made last: {id, request}, a job that can be kept; null while there is none. */
export const made = () => session?.made ?? null;

/** Seconds from one picture to the next, lately; null while there is none. */
export function pace() {
  const times = session?.times ?? [];
  return times.length ? times.reduce((sum, each) => sum + each, 0) / times.length / 1000 : null;
}

export function toggle() {
  if (isOn()) return stop();
  const name = Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join("-");
  session = { name, task: null, wake: () => {}, ending: new AbortController() };
  view.live();
  if (canvases.has(store.tab)) source.showCanvas(true);
  tell("live");
  run(session);
}

export function stop() {
  const { job, ending, wake } = session ?? {};
  session = null;
  ending?.abort();
  wake?.();
  tell("live-busy", false);
  if (job) api.cancel(job.id).catch(() => {}); // it ends by itself
  notices.hide("live");
  tell("live");
}

// -- one picture after another ---------------------------------------------------------------------------------------

const version = (task) => canvases.of(task)?.version() ?? "";
const due = (mine) => shown() && !document.hidden && (mine.task !== store.tab || mine.stale || mine.version !== version(store.tab));

async function run(mine) {
  while (session === mine) {
    const busy = due(mine);
    tell("live-busy", busy);
    if (!busy) {
      await new Promise((woken) => (mine.wake = woken));
      continue;
    }
    try {
      await next(mine);
    } catch (error) {
      if (session === mine) failed(mine, error);
    }
    mine.job = null;
  }
}

/** Makes a picture of what the page shows now. */
async function next(mine) {
  const task = store.tab;
  if (mine.task !== task) begin(mine, task);
  const began = performance.now();
  const before = [JSON.stringify(mine.request), mine.version].join();
  mine.version = version(task);
  if (mine.stale) {
    mine.stale = false;
    mine.request = await settings(mine, task);
  }
  if (before === [JSON.stringify(mine.request), mine.version].join()) return;
  const parts = await inputs(mine.request, task);
  const pictures = parts && (await written(mine, parts));
  hint(mine, pictures ? "" : lacking(task));
  if (!pictures || session !== mine) return;
  mine.job = await api.live({ ...mine.request, ...pictures }, mine.name);
  mine.sent = Object.fromEntries(Object.entries(parts).map(([field, { key }]) => [field, { key, id: mine.job.request[field] }]));
  if (session !== mine) return void api.cancel(mine.job.id).catch(() => {});
  const picture = await awaited(mine);
  if (!picture || session !== mine || mine.task !== store.tab) return;
  mine.made = mine.job;
  mine.times = [...mine.times, performance.now() - began].slice(-LATELY);
  mine.wrong = null;
  notices.hide("live");
  await new Promise((drawn) => tell("live-picture", { picture, job: mine.job, drawn }));
}

function begin(mine, task) {
  const drawn = Math.floor(Math.random() * SEEDS);
  Object.assign(mine, { task, drawn, stale: true, request: null, version: null, made: null, times: [], wrong: null, hint: "", sent: {} });
  tell("live");
}

async function settings(mine, task) {
  const request = await form.draft(task);
  Object.assign(request.modifiers, control.modifiers(task));
  const steps = Math.min(MOST_STEPS, request.num_inference_steps);
  return { ...request, seed: request.seed < 0 ? mine.drawn : request.seed, num_images_per_prompt: 1, num_inference_steps: steps };
}

/** The pictures that go with the request, by field; null while one is missing. */
async function inputs({ width, height, resize_mode: mode }, task) {
  if (!canvases.has(task)) return {};
  const canvas = await canvases.ready(task);
  if (lacking(task)) return null;
  const small = !form.tab(task).takesMask && mode !== "latent"; // it is brought to this size before anything else is done with it
  const { picture, mask } = canvas.snapshot(small ? { width, height } : null);
  return mask ? { image: picture, mask_image: mask } : { image: picture };
}

/** Every picture as data, or by its id where the studio has it already. */
async function written(mine, parts) {
  const known = ([field, { key, id }]) => id ?? (mine.sent[field]?.key === key ? mine.sent[field].id : null);
  const each = Object.entries(parts).map(async (entry) => [entry[0], known(entry) ?? (await data(await entry[1].write()))]);
  return Object.fromEntries(await Promise.all(each));
}

function lacking(task) {
  const canvas = canvases.of(task);
  if (!canvas?.hasPicture()) return "Choose a picture, or begin with an empty canvas; what is made of it appears here.";
  const extended = SIDES.some((side) => form.value(task, `outpaint_${side}`) > 0);
  if (form.tab(task).takesMask && !canvas.hasMask() && !extended) return "Paint over a part of the picture; what takes its place appears here.";
  return "";
}

const data = (blob) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });

/** The finished picture; null when the job was cancelled. */
async function awaited(mine) {
  const { job, ending } = mine;
  const over = new AbortController();
  if (pace() === null || pace() * 1000 > SLOW) previews(mine, over.signal);
  try {
    for (;;) {
      const answer = await api.livePicture(job.id, ending.signal);
      if (ended(answer)) return null;
      if (answer.status === 200) return await answer.blob();
    }
  } finally {
    over.abort();
  }
}

async function previews(mine, over) {
  const { job } = mine;
  for (let step = -1; !over.aborted; ) {
    const answer = await api.preview(job.id, step, over).catch(() => null);
    if (!answer || ended(answer)) return;
    if (answer.status !== 200) continue;
    step = Number(answer.headers.get("X-Step"));
    const picture = await answer.blob().catch(() => null);
    if (picture && !over.aborted && (2 * step >= job.total || !mine.made)) await new Promise((drawn) => tell("live-picture", { picture, job, drawn, early: over }));
  }
}

/** Told once, not at every stroke; what merely came to nothing is not told. */
function failed(mine, error) {
  if (error.field in (mine.sent ?? {})) return again(mine);
  if (error.name === "AbortError" || error.status === 404 || mine.wrong === error.message) return;
  mine.wrong = error.message;
  notices.show(error.message, { key: "live", about: "Live" });
}

/** The studio has lost what it was sent, or minds it: send it whole once more. */
function again(mine) {
  mine.sent = {};
  mine.version = null;
}

function hint(mine, words) {
  if (mine.hint === words) return;
  mine.hint = words;
  tell("live");
}

export const hinted = () => session?.hint ?? "";

// -- what it follows ---------------------------------------------------------------------------------------------------

const look = () => session?.wake();

function changed() {
  if (!session) return;
  session.stale = true;
  look();
}

let typing = 0;
document.addEventListener("input", ({ target }) => {
  if (!session || !target.closest?.("#sl-column")) return look();
  clearTimeout(typing);
  typing = setTimeout(changed, TYPING);
});
document.addEventListener("click", ({ target }) => (target.closest?.("#sl-column") ? changed() : look()));
for (const name of ["pointermove", "pointerup", "keyup"]) {
  document.addEventListener(name, ({ target }) => session && target.closest?.(".sl-canvas") && look());
}
document.addEventListener("visibilitychange", look);
for (const name of ["painted", "canvas", "tab"]) on(name, look);
for (const name of ["values", "chosen"]) on(name, (task) => task === store.tab && changed());
// Where there is no canvas, a picture that is chosen or developed takes the place of the live one.
on("view", () => isOn() && !canvases.has(store.tab) && view.isChosen() && stop());
on("submitted", () => isOn() && !canvases.has(store.tab) && stop());
