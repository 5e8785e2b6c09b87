// One picture of all that one click made: a grid with the words in which their prompts differ.

import { gridUrl } from "./api.js";
import { on } from "./bus.js";
import { button, el, fill, icon } from "./dom.js";
import * as jobs from "./jobs.js";
import * as notices from "./notices.js";
import { keep, store } from "./store.js";

const MOST = 256; // pictures of one grid
const KEPT = 12; // clicks that are remembered
const waiting = new Set(); // first jobs of clicks that were seen at work: what ended before the page was opened is no news
const told = new Set(); // first jobs of clicks whose end was told

const card = el("dialog", { class: "sl-contact", aria: { label: "Grid of these pictures" } });

/** Remember that these jobs belong together. */
export function together(made) {
  store.batches = [{ jobs: made.map((job) => job.id), made: {} }, ...store.batches].slice(0, KEPT);
  keep();
}

/** The pictures of a click in their order, once all its jobs have ended; [] before, or where there is only one. */
function pictures(batch) {
  const found = batch.jobs.map((id) => batch.made[id]);
  const made = found.every(Boolean) ? found.flat() : [];
  return made.length > 1 && made.length <= MOST ? made : [];
}

/** A button for a picture that was made together with others; null for any other picture. */
export function gridButton(made) {
  const job = jobs.find(made.job);
  const alone = { jobs: [made.job], made: job && jobs.ended(job) ? { [job.id]: job.images } : {} };
  const all = pictures(store.batches.find((batch) => batch.jobs.includes(made.job)) ?? alone);
  return all.length ? button({ label: `Grid of ${all.length}`, icon: "grid", kind: "ghost", onclick: () => open(all) }) : null;
}

/** Show the grid as large as fits; it can be downloaded. */
function open(images) {
  if (!card.isConnected) document.body.append(card);
  const wait = el("p", { class: "sl-hint", role: "status", text: "Putting the pictures together" });
  const picture = el("img", { alt: `Grid of ${images.length} pictures with the words in which their prompts differ` });
  picture.addEventListener("load", () => wait.remove());
  picture.addEventListener("error", () => (wait.textContent = "The grid cannot be made: a picture of it is no longer there."));
  picture.src = gridUrl(images);
  const save = el("a", { class: "sl-button sl-ghost", href: gridUrl(images, true), download: "grid.png" }, icon("download"), el("span", { text: "Download" }));
  const shut = button({ label: "Close", icon: "close", quiet: true, onclick: () => card.close() });
  fill(card, el("div", { class: "sl-contact-tools" }, save, shut), wait, picture);
  card.showModal();
}

card.addEventListener("click", (event) => event.target === card && card.close());

/** The list forgets jobs that ended long ago; what they made is remembered here. */
on("jobs", () => {
  for (const batch of store.batches) {
    const [first] = batch.jobs;
    if (told.has(first)) continue;
    for (const job of batch.jobs.map(jobs.find)) {
      if (job && !jobs.ended(job)) waiting.add(first);
      if (!job || !jobs.ended(job) || batch.made[job.id]) continue;
      batch.made[job.id] = job.images;
      keep();
    }
    const all = waiting.has(first) ? pictures(batch) : [];
    if (!all.length) continue;
    told.add(first);
    notices.show(`All ${all.length} pictures are made.`, { key: "grid", kind: "well", action: { label: "Show as a grid", run: () => open(all) } });
  }
});
