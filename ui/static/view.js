// What the stage shows: the job that develops, or a picture that was chosen. Everything else follows from this.

import { api } from "./api.js";
import { on, tell } from "./bus.js";
import * as jobs from "./jobs.js";

const KEPT = 60; // pictures in the filmstrip

let images = []; // newest first
let chosen = null; // a picture the user picked; null follows what develops
let favourite = null; // the job to follow while it lasts
let last = null; // the job whose pictures are shown after it has ended
let opening = true; // until the first list: what ended before the page was opened is no news
const endings = new Set(); // jobs known to have ended
const known = new Set(); // pictures that a list has named

/** Whether the user picked a picture to look at. */
export const isChosen = () => chosen !== null;
export const pictures = () => images;
export const picture = (id) => images.find((image) => image.id === id);
export const of = (job) => images.filter((image) => image.job === job).reverse();

/** The job on the stage, unless a picture was chosen: one that develops, else the next one to. */
export function job() {
  if (chosen) return null;
  return jobs.developing().find((each) => each.id === favourite) ?? jobs.developing()[0] ?? jobs.waiting()[0] ?? null;
}

/** The pictures to show: the chosen one, else those of the last job, else the newest there is. */
export function shown() {
  if (chosen) return images.filter((image) => image.id === chosen);
  const lately = last ? of(last) : [];
  return lately.length ? lately : images.slice(0, 1);
}

export function choose(id) {
  chosen = id;
  tell("view");
}

/** Back to what develops; to this job in particular if one is named. */
export function live(id = null) {
  chosen = null;
  favourite = id ?? favourite;
  if (id) last = id;
  tell("view");
}

/** The picture before (-1) or after (+1) the one shown, in the order of the filmstrip. */
export function step(by) {
  const at = images.findIndex((image) => image.id === (chosen ?? shown()[0]?.id));
  const next = images[at + by];
  if (next) choose(next.id);
}

export async function refreshImages() {
  images = (await api.images(KEPT)).images;
  tell("images", images);
  tell("view");
}

on("jobs", async (list) => {
  const fresh = list.filter((each) => jobs.ended(each) && !endings.has(each.id)).reverse();
  for (const each of fresh) endings.add(each.id);
  for (const each of opening ? [] : fresh) {
    if (each.state === "finished") last = each.id;
    tell("ended", each);
  }
  opening = false;
  const made = list.flatMap((each) => each.images).filter((id) => !known.has(id));
  for (const id of made) known.add(id);
  if (made.length) await refreshImages().catch(() => {});
  else tell("view");
});

// A job that is tried again may end again.
on("jobs", (list) => list.filter((each) => !jobs.ended(each)).forEach((each) => endings.delete(each.id)));
