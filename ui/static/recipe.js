// The card that tells how a dropped picture was made, and offers to use it.

import { api, uploadUrl } from "./api.js";
import * as control from "./control.js";
import { button, el, fill } from "./dom.js";
import { isSmall } from "./fit.js";
import * as form from "./form.js";
import { models, titleOf } from "./models.js";
import * as notices from "./notices.js";
import * as source from "./source.js";

const card = el("dialog", { class: "sl-card", aria: { label: "Recipe of the picture" } });
const NAMES = {
  width: "Width", height: "Height", num_inference_steps: "Steps", guidance_scale: "Guidance", seed: "Seed", scheduler: "Scheduler",
  num_frames: "Frames", fps: "Frames per second", motion_bucket_id: "Motion", noise_aug_strength: "Freedom",
  min_guidance_scale: "Guidance at the start", max_guidance_scale: "Guidance at the end", schedule: "Schedule", checkpoint: "Checkpoint", vae: "VAE", clip_skip: "Skip text layers", strength: "Strength",
}; // prettier-ignore

const SAID = new Set(["prompt", "negative_prompt", "num_images_per_prompt"]); // told elsewhere, or nothing about one picture

export const close = () => card.close();

/** Read a picture and show what was found in it; errors are shown as notices. */
export async function open(blob, name = "") {
  let found;
  try {
    found = await api.recipe(blob);
  } catch (error) {
    return notices.show(error.message);
  }
  if (!card.isConnected) document.body.append(card);
  draw(found, name);
  if (!card.open) card.showModal();
}

function draw({ source: from, request, unknown, upload, infotext }, name) {
  const picture = el("img", { src: uploadUrl(upload), alt: name || "The picture" });
  const loaded = new Promise((done) => picture.addEventListener("load", done, { once: true }));
  loaded.then(() => picture.classList.toggle("sl-crisp", isSmall(picture.naturalWidth, picture.naturalHeight)));
  const has = Object.keys(request ?? {}).length > 0;
  const origin = { safelight: "Made with Safelight", a1111: "Made with AUTOMATIC1111 or a program that writes like it" }[from];
  const clip = request?.task === "img2vid";
  const words = [el("h2", { text: has ? `How this ${clip ? "clip" : "picture"} was made` : "This picture carries no recipe" })];
  if (has && origin) words.push(el("p", { class: "sl-hint", text: origin }));
  if (!has) words.push(el("p", { text: "It can still be a picture to start from." }));
  if (has) words.push(...told(request, unknown, from));
  const uses = form.tasks().filter((task) => form.tab(task).takesPicture);
  const take = async (task) => {
    await loaded;
    source.adopt(task, { id: upload, width: picture.naturalWidth, height: picture.naturalHeight, name });
    leave(task);
  };
  const give = (task) => {
    settings(task, request);
    leave(task);
  };
  const send = has ? form.tasks().filter((task) => form.tab(task).moves === clip).map((task) => button({ label: `Send to ${task}`, onclick: () => give(task) })) : [];
  const start = uses.map((task) => button({ label: `Use picture in ${task}`, onclick: () => take(task) }));
  const shut = button({ label: "Close", icon: "close", quiet: true, class: "sl-button sl-icon-button sl-shut", onclick: close });
  const whole = infotext ? el("details", {}, el("summary", { text: "As written in the file" }), el("pre", { text: infotext })) : null;
  const group = (title, buttons) => (buttons.length ? [el("h3", { text: title }), el("div", { class: "sl-card-tools" }, ...buttons)] : []);
  const tools = el("div", {}, ...group("Its settings", send), ...group("The picture itself", start));
  const side = el("div", { class: "sl-card-words" }, ...words, whole, tools);
  fill(card, shut, el("div", { class: "sl-card-picture" }, picture), side);
}

function told(request, unknown, from) {
  const rows = Object.entries(NAMES).filter(([key]) => ![undefined, null, "automatic", 0].includes(request[key]) || key === "seed");
  const list = (pairs) => el("dl", {}, ...pairs.flatMap(([term, words]) => [el("dt", { text: term }), el("dd", { text: String(words) })]));
  const others = Object.entries(unknown ?? {});
  const { titles, defaults } = form.tab(request.task ?? form.tasks()[0]) ?? form.tab(form.tasks()[0]);
  const more = Object.keys(request).filter((key) => key in titles && !(key in NAMES) && !SAID.has(key) && request[key] !== defaults[key]);
  const modified = Object.keys(request.modifiers ?? {}).map((name) => titles[`modifiers.${name}`] ?? name);
  return [
    request.task === "img2vid" ? "" : el("p", { class: "sl-card-prompt", text: request.prompt || "No prompt" }),
    request.negative_prompt ? el("p", { class: "sl-hint", text: `Not: ${request.negative_prompt}` }) : "",
    list([...[...rows, ...more.map((key) => [key, titles[key]])].map(([key, label]) => [label, titleOf(key, request[key])]), ...(modified.length ? [["With", modified.join(", ")]] : [])]),
    ...(others.length ? [el("h3", { text: from === "safelight" ? "Also noted" : "Not known here, left out" }), list(others)] : []),
  ];
}

/** Give a tab these settings; names of models that are not here are left out and told. */
function settings(task, request) {
  const { task: _, image, mask_image, modifiers = {}, ...values } = request;
  const here = { checkpoint: models().checkpoints, vae: [...models().vaes, { name: "automatic" }] };
  const missing = Object.entries(here).filter(([key, list]) => values[key] && !list.some((each) => each.name === values[key]));
  for (const [key] of missing) {
    notices.show(`${NAMES[key]} ${values[key]} is not here; the one chosen before is kept.`, { kind: "well" });
    delete values[key];
  }
  for (const key of form.tab(task).keys) if (/^modifiers\.[^.]+$/.test(key)) values[key] = false; // what the picture had not
  for (const [name, parameters] of Object.entries(modifiers)) {
    values[`modifiers.${name}`] = true;
    for (const [key, value] of Object.entries(form.tab(task).defaults)) if (key.startsWith(`modifiers.${name}.`)) values[key] = value;
    for (const [key, value] of Object.entries(parameters)) values[`modifiers.${name}.${key}`] = value;
  }
  form.fill(task, values);
  control.take(task, modifiers.control);
}

function leave(task) {
  close();
  source.openTab(task);
}
