// What can be done with a picture that was made.

import { api, imageUrl } from "./api.js";
import { frame, isClip } from "./clip.js";
import { compareButton } from "./compare.js";
import { gridButton } from "./contact.js";
import { button, el, icon } from "./dom.js";
import * as form from "./form.js";
import * as jobs from "./jobs.js";
import { able } from "./models.js";
import * as notices from "./notices.js";
import * as recipe from "./recipe.js";
import * as source from "./source.js";
import { store } from "./store.js";

const MOVING = "img2vid";
const NOT_SENT = new Set(["task", "seed", "strength", "image", "mask_image", "modifiers", "width", "height", "masked_content"]);
const AFRESH = { outpaint_left: 0, outpaint_right: 0, outpaint_top: 0, outpaint_bottom: 0 }; // or it would be extended once more

/** Buttons for one picture, in the order of how often they are wanted. */
export function actions(made) {
  const guarded = (act) => () => act().catch((error) => notices.show(error.message));
  const address = `${imageUrl(made.id)}?download=1`;
  const named = { title: "Download", aria: { label: "Download" } };
  const save = el("a", { class: "sl-button sl-ghost sl-icon-button", href: address, download: "", ...named }, icon("download"));
  const ghost = (label, name, act, quiet = false) => button({ label, icon: name, kind: "ghost", quiet, onclick: guarded(act) });
  const quiet = true; // signs that everyone knows leave the one row to words
  const sent = isClip(made) ? "Frame to" : "To"; // the frame that is seen, where the clip is held
  const clips = able(MOVING) ? [ghost(`${sent} ${MOVING}`, "play", () => send(made, MOVING))] : [];
  return [
    save,
    isClip(made) ? null : compareButton(made),
    gridButton(made),
    ghost("Reuse seed", "lock", async () => form.fill(store.tab, { seed: made.seed }), quiet),
    ghost(`${sent} img2img`, "picture", () => send(made, "img2img")),
    ghost(`${sent} inpaint`, "brush", () => send(made, "inpaint")),
    ghost(`${sent} upscale`, "enlarge", () => send(made, "upscale")),
    ...clips,
    ghost("Copy parameters", "copy", () => copy(made), quiet),
    ghost("Recipe", "recipe", async () => recipe.open(await bytes(made))),
  ];
}

const bytes = async (made) => (await fetch(imageUrl(made.id))).blob();
const picture = (made) => (isClip(made) ? frame(made) : bytes(made));

/** Start from this picture in another tab, with the words and settings that made it. */
async function send(made, task) {
  const request = jobs.find(made.job)?.request ?? (await api.recipe(await bytes(made))).request ?? {};
  const kept = Object.fromEntries(Object.entries(request).filter(([key]) => !NOT_SENT.has(key)));
  if (!kept.prompt) delete kept.prompt; // words that are there are not taken away for none
  if (task !== MOVING && request.task !== MOVING) form.fill(task, { ...kept, ...AFRESH }); // what makes pictures says nothing about clips
  await source.use(task, await picture(made), `seed ${made.seed}`);
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
