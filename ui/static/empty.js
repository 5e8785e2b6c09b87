// What the stage says before the first picture: what to do, and three prompts that work.

import { on } from "./bus.js";
import { button, el, fill } from "./dom.js";
import { go } from "./dock.js";
import * as form from "./form.js";
import { checkpoint } from "./models.js";
import { store } from "./store.js";

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
  };
  const words = [el("h2", { text: "Nothing developed yet" }), el("p", { text: start[store.tab] ?? start.txt2img })];
  const ideas = prompts.map((prompt) => button({ label: prompt, kind: "idea", onclick: () => use(prompt) }));
  if (store.tab === "txt2img" && ideas.length) {
    words.push(el("p", { class: "sl-hint", text: "Or begin with one of these:" }), el("div", { class: "sl-ideas" }, ...ideas));
  }
  fill(place, ...words);
}

async function use(prompt) {
  form.fill(store.tab, { prompt });
  await go();
}

on("models", draw);
on("tab", draw);
