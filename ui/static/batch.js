// Many pictures to start from at once: each becomes a job of its own, with the settings of the tab and in its own size.

import { api } from "./api.js";
import { tell } from "./bus.js";
import { together } from "./contact.js";
import * as control from "./control.js";
import { button, el, fill } from "./dom.js";
import { draft } from "./form.js";
import * as jobs from "./jobs.js";
import * as notices from "./notices.js";
import * as view from "./view.js";

const chosen = new Map(); // files by task
const places = new Map();

/** Fill the place for them in a tab. */
export function batch(place) {
  places.set(place.dataset.tab, place);
  draw(place.dataset.tab);
}

/** Files that the user gave this tab at once. */
export function offered(task, files) {
  chosen.set(task, [...files].filter((file) => file.type.startsWith("image/")));
  notices.clearFields();
  draw(task);
}

/** Whether a tab has a place for many pictures. */
export const takes = (task) => places.has(task);

function draw(task, sending = false) {
  const place = places.get(task);
  if (!place) return;
  const files = chosen.get(task) ?? [];
  const input = el("input", {
    type: "file", multiple: true, accept: "image/png,image/jpeg,image/webp", class: "sl-unseen", tabindex: "-1",
    aria: { label: "Several picture files" },
    on: { change: () => offered(task, input.files) },
  });
  if (!files.length) return fill(place, button({ label: "Start from several pictures", onclick: () => input.click() }), input);
  const count = files.length === 1 ? "1 picture" : `${files.length} pictures`;
  const make = button({ label: sending ? `Uploading ${count}` : `Make ${count}`, kind: "plain", disabled: sending, onclick: () => send(task) });
  const forget = button({ label: "Forget these pictures", icon: "trash", quiet: true, onclick: () => offered(task, []) });
  const names = files.map((file) => file.name).join(", ");
  fill(place, el("div", { class: "sl-batch" }, make, el("small", { text: names, title: names }), forget));
}

async function send(task) {
  draw(task, true);
  try {
    const { width: _, height: __, ...request } = await draft(task);
    Object.assign(request.modifiers, control.modifiers(task));
    const images = [];
    for (const file of chosen.get(task)) images.push(await uploaded(file));
    const made = (await api.batch({ request, images })).jobs;
    chosen.delete(task);
    if (made.length > 1) together(made);
    made.forEach(jobs.note);
    view.live();
    tell("submitted", made[0]);
  } catch (error) {
    notices.wrong(task, error);
  }
  draw(task);
}

async function uploaded(file) {
  try {
    return (await api.upload(file)).id;
  } catch (error) {
    error.message = `${file.name}: ${error.message}`;
    throw error;
  }
}
