// What a checkpoint, sampler or machine will not do with a setting, or seldom does well, is told at its field.

import { on } from "./bus.js";
import { el, say } from "./dom.js";
import * as form from "./form.js";
import { checkpoint, scheduler } from "./models.js";
import { store } from "./store.js";

const MOST_REDRAWN = 0.35; // strength up to which a tile keeps to what it shows
const REPEATS =
  "Above 0.35 every tile may draw the whole subject once more. Name only what is everywhere, such as material and light, or let Tile under Control hold the tiles to the picture.";

let device = null; // what the engine works on, once it is known

/** By field: one sentence, or "". `own` is the field's value. */
const ADVICE = {
  clip_skip: (own, { model }) => {
    const most = model?.most_clip_skip ?? null;
    return most === null || own <= most ? "" : `This checkpoint's text encoder has room for ${most}; more is refused.`;
  },
  guidance_scale: (own, { sampler }) => {
    const most = sampler?.most_guidance ?? null;
    return most === null || own <= most ? "" : `${sampler.title} is made for a guidance of 1 to 2; ${own} burns the picture.`;
  },
  num_inference_steps: (_, { sampler }) =>
    sampler?.own_steps ? `${sampler.title} chooses its own steps; this number only times prompts such as [day:night:10].` : "",
  noise_source: (own) =>
    own === "gpu" && device && !device.startsWith("cuda") ? "This machine has no NVIDIA GPU, so the CPU draws; recipes will say CPU." : "",
  strength: (own, { task }) => (own > MOST_REDRAWN && tiled(task) ? REPEATS : ""),
};

/** Whether a picture is redrawn in more than one tile. */
function tiled(task) {
  const [picture, scale] = [store.pictures[task], form.value(task, "scale")];
  if (!picture || !form.tab(task).keys.includes("overlap")) return false;
  return picture.width * scale > form.value(task, "width") || picture.height * scale > form.value(task, "height");
}

/** Look at the open tab again. */
export function advice() {
  const task = store.tab;
  if (!form.tab(task)) return;
  const around = { task, model: checkpoint(form.value(task, "checkpoint")), sampler: scheduler(form.value(task, "scheduler")) };
  for (const [key, said] of Object.entries(ADVICE)) {
    const control = form.control(task, key);
    if (control) note(control, "idle" in control.dataset ? "" : said(form.value(task, key), around));
  }
}

function note(control, words) {
  let told = control.querySelector(":scope > .sl-advice");
  if (!told && words) control.append((told = el("p", { class: "sl-misfit sl-advice", role: "status" })));
  if (!told) return;
  say(told, words);
  told.hidden = !words;
}

for (const name of ["values", "models", "tab"]) on(name, () => advice());
on("health", (health) => {
  device = health.device ?? device;
  advice();
});
