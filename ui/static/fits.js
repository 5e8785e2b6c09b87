// What does not fit the checkpoint is told before it is asked for: fields without effect, and sizes that it was never shown.

import { on } from "./bus.js";
import { el, say } from "./dom.js";
import * as form from "./form.js";
import { checkpoint, titleOf } from "./models.js";
import { store } from "./store.js";

const GRID = 8;
const BEYOND = 2.5; // times the pixels that a checkpoint knows: things are doubled
const BELOW = 0.3; // of them: shapes fall apart
const HIRES = 4.5; // times as many is what a second pass still holds together
const TINY = 256; // pixels of a side below which a checkpoint has seen no more than single things,
const TINY_HIRES = 2; // and a second pass of more than twice the pixels undoes them

/** Mark what has no effect in the open tab, and say why where there is room. */
function fields(task) {
  const idle = form.idle(task);
  for (const key of form.tab(task).keys) {
    const control = form.control(task, key);
    const why = idle[key] ?? "";
    if (control) mark(document.getElementById(`${control.id}-params`), why); // what a switch opens goes with it
    if (!control || (control.dataset.idle ?? "") === why) continue;
    control.querySelector(":scope > .sl-idle")?.remove();
    if (why) control.append(el("p", { class: "sl-idle", text: why }));
    mark(control, why);
  }
  for (const head of document.querySelectorAll(`.sl-fold-head[data-tab="${task}"]`)) {
    mark(head.closest(".sl-fold"), idle[`modifiers.${head.dataset.fold}`]);
  }
  unused(task);
  unfit(task, idle);
}

function mark(node, why) {
  if (why) node?.setAttribute("data-idle", why);
  else node?.removeAttribute("data-idle");
}

/** Modifiers that do not go with the checkpoint are hidden, and counted. */
function unfit(task, idle) {
  const fold = document.querySelector(`#${task}-fold-modifiers-body`);
  const count = form.tab(task).keys.filter((key) => /^modifiers\.[^.]+$/.test(key) && key in idle).length;
  const title = checkpoint(form.value(task, "checkpoint"))?.title;
  if (fold) note(fold, "sl-idle", count ? `${count} more ${count === 1 ? "does" : "do"} not go with ${title}.` : "");
}

/** A sampler uses few of the settings for noise; the others are hidden, and counted. */
function unused(task) {
  const fold = document.querySelector(`#${task}-fold-noise-body`);
  const count = fold?.querySelectorAll("[data-idle]").length ?? 0;
  const words = `${titleOf("scheduler", form.value(task, "scheduler"))} has no use for ${count} more ${count === 1 ? "setting" : "settings"}.`;
  if (fold) note(fold, "sl-idle", count ? words : "");
}

/** [width, height] of the second pass, or null while there is none; as the studio reckons it. */
function second(task, width, height) {
  const of = (name) => form.value(task, `modifiers.hires${name}`);
  if (!of("")) return null;
  const factor = of(".width") / width || of(".height") / height || of(".scale");
  const onGrid = (side) => Math.max(GRID, Math.round((side * factor) / GRID) * GRID);
  return [of(".width") || onGrid(width), of(".height") || onGrid(height)];
}

/** One sentence about a size that the checkpoint was not trained for, or "". */
function misfit(task, width, height, enlarged) {
  const [w, h] = checkpoint(form.value(task, "checkpoint"))?.native_size ?? [width, height];
  const share = (side) => (side[0] * side[1]) / (w * h);
  const known = `the ${w} × ${h} it was trained at`;
  if (share([width, height]) > BEYOND) return `${width} × ${height} is far beyond ${known}: things come out doubled.`;
  if (share([width, height]) < BELOW) return `${width} × ${height} is far below ${known}: shapes fall apart.`;
  if (enlarged && share(enlarged) > (Math.max(w, h) < TINY ? TINY_HIRES : HIRES)) {
    return `Hires fix makes ${enlarged.join(" × ")}, far beyond ${known}: a scale nearer 1 does better.`;
  }
  return "";
}

function sizes(task) {
  const [width, height] = ["width", "height"].map((side) => form.value(task, side));
  const shape = document.querySelector(`[data-mount="shapes"][data-tab="${task}"]`)?.closest(".sl-shape");
  if (!shape || !width || !height) return;
  const enlarged = second(task, width, height);
  note(shape, "sl-misfit", misfit(task, width, height, enlarged));
  const scale = form.control(task, "modifiers.hires.scale");
  if (scale) note(scale, "sl-becomes", enlarged ? `→ ${enlarged.join(" × ")}` : "");
}

function note(place, kind, words) {
  let told = place.querySelector(`:scope > .${kind}`);
  if (!told && words) place.append((told = el("p", { class: kind, role: "status" })));
  if (!told) return;
  say(told, words);
  told.hidden = !words;
}

/** Look at the open tab again. */
export function fits() {
  const task = store.tab;
  if (!form.tab(task)) return;
  fields(task);
  sizes(task);
}

for (const name of ["values", "models", "tab"]) on(name, () => fits());
