// The filmstrip: what was made, newest first.

import { imageUrl, thumbnailUrl } from "./api.js";
import { on } from "./bus.js";
import { isClip } from "./clip.js";
import { el, fill } from "./dom.js";
import { isSmall } from "./fit.js";
import * as jobs from "./jobs.js";
import * as live from "./live.js";
import * as source from "./source.js";
import * as view from "./view.js";

const strip = el("div", { class: "sl-film", role: "group", aria: { label: "Pictures, newest first" } });
const frames = new Map(); // by picture

export function film() {
  on("images", draw);
  on("view", mark);
  on("canvas", mark);
  return strip;
}

function draw(images) {
  const newest = strip.firstElementChild;
  for (const made of images) if (!named(made)) frames.set(made.id, frame(made));
  const kept = new Set(images.map((made) => made.id));
  for (const id of frames.keys()) if (!kept.has(id)) frames.delete(id);
  fill(strip, ...images.map((made) => frames.get(made.id)));
  if (strip.firstElementChild !== newest) strip.scrollTo({ left: 0 });
  mark();
}

/** Whether its frame is there, and says what the picture was made from as soon as that is known. */
const named = (made) => frames.get(made.id)?.title || (frames.has(made.id) && !jobs.find(made.job)?.request.prompt);

function frame(made) {
  const request = jobs.find(made.job)?.request;
  const prompt = request?.prompt;
  const clip = isClip(made);
  const src = clip ? thumbnailUrl(made.id) : imageUrl(made.id);
  const image = el("img", { src, alt: prompt ?? "", loading: "lazy", width: made.width, height: made.height });
  image.classList.toggle("sl-crisp", isSmall(made.width, made.height));
  const show = () => {
    source.showCanvas(false);
    view.choose(made.id);
  };
  const label = `Show ${prompt || (clip ? "clip" : "picture")}, seed ${made.seed}`;
  return el("button", { type: "button", title: prompt ?? "", class: clip ? "sl-clip" : null, aria: { label }, on: { click: show } }, image);
}

/** The strip is one stop of the Tab key; the arrow keys go on from there. */
function mark() {
  const shown = view.job() || source.canvasShown() || live.shown() ? [] : view.shown().map((made) => made.id);
  const within = strip.contains(document.activeElement);
  for (const [id, node] of frames) {
    node.setAttribute("aria-current", String(shown.includes(id)));
    node.tabIndex = -1;
  }
  const stop = frames.get(shown[0]) ?? strip.firstElementChild;
  if (!stop) return;
  stop.tabIndex = 0;
  if (within) stop.focus();
}
