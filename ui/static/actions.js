// What can be done with a picture that was made.

import { api, imageUrl } from "./api.js";
import { button, el, icon } from "./dom.js";
import * as form from "./form.js";
import * as jobs from "./jobs.js";
import * as notices from "./notices.js";
import * as recipe from "./recipe.js";
import * as source from "./source.js";
import { store } from "./store.js";

const NOT_SENT = new Set(["task", "seed", "strength", "image", "mask_image", "modifiers", "width", "height"]);

/** Buttons for one picture, in the order of how often they are wanted. */
export function actions(made) {
  const guarded = (act) => () => act().catch((error) => notices.show(error.message));
  const address = `${imageUrl(made.id)}?download=1`;
  const save = el("a", { class: "sl-button sl-ghost", href: address, download: "" }, icon("download"), el("span", { text: "Download" }));
  const ghost = (label, name, act) => button({ label, icon: name, kind: "ghost", onclick: guarded(act) });
  return [
    save,
    ghost("Reuse seed", "lock", async () => form.fill(store.tab, { seed: made.seed })),
    ghost("To img2img", "picture", () => send(made, "img2img")),
    ghost("To inpaint", "brush", () => send(made, "inpaint")),
    ghost("Copy parameters", "copy", () => copy(made)),
    ghost("Recipe", "recipe", async () => recipe.open(await bytes(made))),
  ];
}

const bytes = async (made) => (await fetch(imageUrl(made.id))).blob();

/** Start from this picture in another tab, with the words and settings that made it. */
async function send(made, task) {
  const request = jobs.find(made.job)?.request ?? (await api.recipe(await bytes(made))).request ?? {};
  const kept = Object.fromEntries(Object.entries(request).filter(([key]) => !NOT_SENT.has(key)));
  form.fill(task, kept);
  await source.use(task, await bytes(made), `seed ${made.seed}`);
  source.openTab(task);
}

async function copy(made) {
  const { infotext } = await api.recipe(await bytes(made));
  await toClipboard(infotext ?? "");
  notices.show("The parameters are on the clipboard.", { kind: "well", key: "copied" });
  setTimeout(() => notices.hide("copied"), 4000);
}

async function toClipboard(text) {
  if (navigator.clipboard && isSecureContext) return navigator.clipboard.writeText(text);
  const area = el("textarea", { class: "sl-unseen" }); // over plain http from another machine there is no other way
  document.body.append(area);
  area.value = text;
  area.select();
  document.execCommand("copy");
  area.remove();
}
