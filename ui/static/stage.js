// The stage: the picture that develops or was made, with its progress above all else.

import { imageUrl } from "./api.js";
import { on, tell } from "./bus.js";
import { actions } from "./actions.js";
import { compared, slider } from "./compare.js";
import { engine } from "./bar.js";
import { isClip, isFilm, player } from "./clip.js";
import { button, el, fill, say } from "./dom.js";
import { empty } from "./empty.js";
import { film } from "./film.js";
import { grid, size } from "./fit.js";
import * as jobs from "./jobs.js";
import { drawPanel, livePanel, liveSwitch } from "./live_panel.js";
import { titleOf } from "./models.js";
import * as notices from "./notices.js";
import * as preview from "./preview.js";
import { queue } from "./queue.js";
import { removeButton } from "./remove.js";
import * as source from "./source.js";
import * as view from "./view.js";

const GAP = 10;
const CALM = 500; // ms between two changes of the words

const parts = {};
let drawn = ""; // what the frame holds, so that it is built anew only when that changes

export function stage(place) {
  parts.easel = el("div", { class: "sl-easel", tabindex: "0", role: "group", aria: { label: "Picture" } });
  parts.canvas = el("div", { class: "sl-canvas", hidden: true });
  parts.line = el("div", { class: "sl-line" }, (parts.fill = el("div", { class: "sl-line-fill" })));
  parts.line.setAttribute("role", "progressbar");
  parts.line.setAttribute("aria-label", "Progress");
  parts.words = el("p", { class: "sl-words" });
  parts.tools = el("div", { class: "sl-tools" });
  parts.caption = el("div", { class: "sl-caption" }, parts.words, parts.tools);
  parts.spoken = el("p", { class: "sl-unseen", role: "status" });
  const room = el("div", { class: "sl-room" }, parts.easel, parts.canvas, livePanel());
  const head = el("div", { class: "sl-stage-head" }, source.stageSwitch(), liveSwitch(), removeButton());
  const frame = el("section", { class: "sl-frame", aria: { label: "Stage" } }, head, room, parts.line, parts.caption);
  fill(place, notices.area(), frame, queue(), film(), parts.spoken);
  source.mountCanvas(parts.canvas);
  new ResizeObserver(resize).observe(room);
  on("view", draw);
  on("canvas", draw);
  on("ended", spoken);
  draw();
}

function draw() {
  const job = view.job();
  parts.canvas.hidden = !source.canvasShown();
  parts.covered = drawPanel() || source.canvasShown();
  parts.easel.hidden = parts.covered;
  document.body.toggleAttribute("data-developing", jobs.developing().some((each) => each.state === "running"));
  if (job && !parts.covered) preview.follow(job, frame);
  else preview.unfollow();
  if (!parts.covered) job ? developing(job) : result();
  progress(parts.covered ? null : job);
}

function room() {
  const { clientWidth, clientHeight } = parts.easel;
  return { width: clientWidth, height: clientHeight };
}

// -- developing ----------------------------------------------------------------------------------------------------

function developing(job) {
  const key = `job ${job.id} ${job.attempt}`;
  if (drawn === key) return;
  drawn = key;
  const image = el("img", { class: "sl-developing", alt: `Developing: ${job.request.prompt || "a clip"}`, hidden: true });
  fill(parts.easel, image, (parts.latent = el("div", { class: "sl-latent" })));
  parts.frame = image;
  parts.job = job;
  parts.step = 0;
  size(parts.latent, room(), job.request);
}

/** A frame may be smaller than the picture (or a sheet of several): it is shown at the size the result will have. */
async function frame(url, step) {
  const image = parts.frame;
  const { id, total, request } = parts.job;
  image.src = url;
  await image.decode().catch(() => {});
  if (parts.frame !== image || view.job()?.id !== id) return;
  const alone = request.num_images_per_prompt === 1;
  const own = { width: image.naturalWidth, height: image.naturalHeight };
  parts.pixels = alone && like(own, request) ? request : own;
  image.hidden = false;
  parts.latent.hidden = true;
  size(image, room(), parts.pixels);
  bar(step, total);
  parts.step = step;
  if (performance.now() - (parts.said ?? 0) > CALM) progress(view.job());
}

/** Whether both have the same shape: a part that is made anew is shown within the whole. */
const like = (a, b) => Math.abs((a.width * b.height) / (a.height * b.width) - 1) < 0.02;

// -- made -----------------------------------------------------------------------------------------------------------

function result() {
  const shown = view.shown();
  const one = shown.length === 1 && compared(shown[0]);
  const key = `images ${jobs.known()} ${one} ${shown.map((each) => each.id)}`;
  if (drawn === key) return;
  drawn = key;
  parts.frame = null;
  if (!shown.length) fill(parts.easel, jobs.known() ? empty() : "");
  else if (shown.length === 1) fill(parts.easel, one ? slider(shown[0], single(shown[0])) : single(shown[0]));
  else fill(parts.easel, sheet(shown));
  resize();
}

function single(made, alone = true) {
  if (isFilm(made)) return player(made, { title: titled(made), alone });
  const image = el("img", { class: "sl-made", src: imageUrl(made.id), alt: titled(made), width: made.width, height: made.height });
  image.dataset.image = made.id;
  return image;
}

function sheet(shown) {
  const title = "Show this picture alone";
  const alone = (made) => el("button", { type: "button", class: "sl-cell", title, on: { click: () => view.choose(made.id) } }, single(made, false));
  return el("div", { class: "sl-sheet" }, ...shown.map(alone));
}

const titled = (made) => jobs.find(made.job)?.request.prompt || `${isClip(made) ? "Clip" : "Picture"} with seed ${made.seed}`;

function resize() {
  if (!parts.easel.clientWidth) return;
  const made = [...parts.easel.querySelectorAll(".sl-made")];
  if (parts.frame) parts.frame.hidden ? size(parts.latent, room(), parts.job.request) : size(parts.frame, room(), parts.pixels);
  if (made.length === 1) size(made[0], room(), natural(made[0]));
  if (made.length < 2) return;
  const one = natural(made[0]);
  const { columns, rows } = grid(made.length, one.width, one.height, room());
  const each = { width: (room().width - GAP * (columns - 1)) / columns, height: (room().height - GAP * (rows - 1)) / rows };
  parts.easel.querySelector(".sl-sheet").style.gridTemplateColumns = `repeat(${columns}, auto)`;
  for (const image of made) size(image, each, natural(image));
}

const natural = (image) => ({ width: Number(image.getAttribute("width")), height: Number(image.getAttribute("height")) });

// -- progress -------------------------------------------------------------------------------------------------------

function bar(step, total) {
  const share = total ? Math.min(1, step / total) : 0;
  parts.fill.style.transform = `scaleX(${share})`;
  parts.line.setAttribute("aria-valuenow", Math.round(share * 100));
  document.title = `${Math.round(share * 100)} % · Safelight`;
}

/** The line tells of any job that develops; the words and tools of what is on the stage. */
function progress(job) {
  const busy = jobs.developing().includes(job) ? job : jobs.developing()[0];
  parts.line.classList.toggle("sl-on", Boolean(busy));
  if (!busy) document.title = "Safelight";
  if (busy) bar(reached(busy), busy.total);
  const shown = parts.covered ? [] : view.shown();
  say(parts.words, job ? words(job) : resting(shown));
  parts.said = performance.now();
  const key = job ? `${job.id} ${job.state}` : `${jobs.known()} ${shown.map((each) => each.id)}`; // jobs tell what a picture was made from
  if (parts.toolsFor === key) return;
  parts.toolsFor = key;
  fill(parts.tools, ...(job ? [job.state === "queued" ? "" : hold(job)] : shown.length === 1 ? actions(shown[0]) : []));
}

function hold(job) {
  const paused = job.state === "paused";
  const act = () => jobs.turn(job.id, paused ? "resume" : "pause").catch((error) => notices.show(error.message));
  return button({ label: paused ? "Resume" : "Pause", icon: paused ? "play" : "pause", kind: "ghost", onclick: act });
}

function resting(shown) {
  if (parts.covered) return "";
  const several = shown.every(isClip) ? "clips" : "pictures";
  if (shown.length) return shown.length === 1 ? caption(shown[0]) : `${shown.length} ${several}. Choose one to use it.`;
  return "";
}

function caption(made) {
  const { num_frames: frames, fps } = jobs.find(made.job)?.request ?? {};
  return `Seed ${made.seed} · ${made.width} × ${made.height}${frames ? ` · ${frames} frames, ${fps} a second` : ""}`;
}

/** The last step known of: a frame may be ahead of the list, or there may be no frames. */
const reached = (job) => (parts.job?.id === job.id ? Math.max(job.step, parts.step) : job.step);

function words(job) {
  const step = reached(job);
  if (jobs.cancelling(job)) return "Cancelling after this step";
  if (job.state === "paused") return job.calls ? `Paused at ${way(job)}` : `Paused at step ${step} of ${job.total}`;
  if (job.state === "queued") return engine() === "ready" ? "Waiting for its turn" : "Waiting for the engine";
  if (job.loading) return `Loading ${titleOf("checkpoint", job.loading)}`;
  if (step === 0 && !job.calls) return "Getting ready";
  if (job.calls) return `${way(job)} · ${job.calls} calls of the model so far`;
  return `Step ${step} of ${job.total}${job.eta === null ? "" : ` · ${left(job.eta)} left`}`;
}

/** A sampler that chooses its own steps tells how far it is on its way. */
const way = (job) => `${Math.round((100 * reached(job)) / job.total)} % of the way`;

function left(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

function spoken(job) {
  const made = job.images.length;
  const what = job.task === "img2vid" ? "clip" : "picture";
  const told = { finished: `Finished: ${made} ${what}${made === 1 ? "" : "s"}.`, cancelled: "Cancelled.", failed: "" };
  say(parts.spoken, told[job.state]);
  if (job.state === "failed") tell("failed", job);
}
