// What the stage says before the first picture: what to do, and three prompts that work.

import { on } from "./bus.js";
import { LACKING, lacking } from "./clip.js";
import { button, el, fill } from "./dom.js";
import { go } from "./dock.js";
import * as form from "./form.js";
import * as library from "./library_door.js";
import { checkpoint } from "./models.js";
import { store } from "./store.js";

const MAKER = "stabilityai/stable-video-diffusion-img2vid-xt";
const place = el("div", { class: "sl-empty" });

export function empty() {
  draw();
  return place;
}

function draw() {
  const model = checkpoint(form.value(store.tab, "checkpoint"));
  const prompts = (model?.example_prompts ?? []).slice(0, 3);
  const start = {
    txt2img: "Write what the picture should show, then press Generate and watch it develop.",
    img2img: "Choose a picture to start from, write what it should become, then press Generate.",
    inpaint: "Choose a picture, paint over what should change, then press Generate.",
    img2vid: "Choose the picture that the clip begins with, then press Generate and watch it come to life.",
  };
  const words = [el("h2", { text: "Nothing developed yet" }), el("p", { text: start[store.tab] ?? start.txt2img })];
  const ideas = prompts.map((prompt) => button({ label: prompt, kind: "idea", onclick: () => use(prompt) }));
  if (store.tab === "txt2img" && ideas.length) {
    words.push(el("p", { class: "sl-hint", text: "Or begin with one of these:" }), el("div", { class: "sl-ideas" }, ...ideas));
  }
  if (lacking(store.tab)) words.splice(1, words.length, ...wanted());
  fill(place, ...words);
}

/** What is missing for clips, and where it comes from. */
function wanted() {
  return [
    el("p", { text: LACKING }),
    el("p", { class: "sl-hint", text: `Download ${MAKER} from the Hugging Face Hub, or put its folder into models/checkpoints.` }),
    button({ label: "Open the models", kind: "plain", onclick: library.toggle }),
  ];
}

async function use(prompt) {
  form.fill(store.tab, { prompt });
  await go();
}

on("models", draw);
on("tab", draw);
