// Control: units, each a picture that steers, what is made of it, and the model that is steered by it.

import { on } from "./bus.js";
import { button, el, fill } from "./dom.js";
import { asked, fitting, lacking, offer, preprocessor, refreshOffer, unfitting } from "./control_offer.js";
import { forget } from "./control_paint.js";
import { fresh, unitRow } from "./control_unit.js";
import * as folds from "./folds.js";
import * as form from "./form.js";
import * as library from "./library_door.js";
import { checkpoint } from "./models.js";
import { keep, store } from "./store.js";
import { unfold } from "./unfold.js";

const MOST = 10;
const places = new Map(); // by task

const units = (task) => (store.control[task] ??= []);

/** Fill the place for the units of a tab. */
export function control(place) {
  places.set(place.dataset.tab, place);
  draw(place.dataset.tab);
  refresh([place.dataset.tab]);
}

/** Asks again what goes with the checkpoints of these tabs, and draws them anew if that has changed, so that what is being chosen stays
 * as it is. What went wrong is told when something is asked for. */
const refresh = (tasks) => refreshOffer(tasks).then((changed) => changed && tasks.forEach(draw), () => {}); // prettier-ignore

function draw(task) {
  told(task);
  const place = places.get(task);
  if (!place?.isConnected) return;
  const list = units(task);
  const rows = list.map((unit, index) =>
    unitRow({ task, unit, number: index + 1, changed: keep, redraw: () => (keep(), draw(task)), remove: () => remove(task, index) }),
  );
  const add = button({ label: list.length ? "Add another" : "Add a picture that steers", icon: "plus", onclick: () => added(task) });
  add.disabled = list.length >= MOST;
  const back = focused(place);
  fill(place, hint(task), ...rows, add, ...(list.length ? lacking().map(wanting) : []));
  back();
}

/** Gives the focus back, after a redraw, to what had it: the same field of the same unit. */
function focused(place) {
  const label = document.activeElement?.getAttribute("aria-label");
  const rows = () => [...place.querySelectorAll(".sl-control-unit")];
  const index = rows().indexOf(document.activeElement?.closest(".sl-control-unit"));
  return () => index >= 0 && label && rows()[index]?.querySelector(`[aria-label="${CSS.escape(label)}"]`)?.focus();
}

/** What is on stands beside the fold's title. */
function told(task) {
  const on = units(task).filter((unit) => unit.enabled);
  folds.tell(task, "control", on.map((unit) => preprocessor(unit.preprocessor)?.title ?? unit.preprocessor));
}

/** What to put where for a preprocessor that takes a model, and the way to it. */
function wanting({ sentence, example }) {
  const way = button({ label: "Look at it", "aria-label": `Look at ${example}`, kind: "link", onclick: () => library.get(example) });
  return el("p", { class: "sl-control-hint" }, `${sentence} `, way);
}

/** What is missing or does not fit, said once above the units. */
function hint(task) {
  const { controlnets } = offer();
  if (!offer().preprocessors.length) return null;
  const others = unfitting(task);
  if (fitting(task).length) return others ? el("p", { class: "sl-control-hint" }, others) : null;
  const family = checkpoint(form.value(task, "checkpoint"))?.family_title ?? "this checkpoint";
  const usable = controlnets.filter((net) => !net.broken).length;
  const words = usable
    ? `Of the ${usable === 1 ? "one ControlNet" : `${usable} ControlNets`} here none is made for ${family}. `
    : "There is no ControlNet here: put one into models/controlnet, and it appears. ";
  const without = "Reference, Tile, Blur and Colour blocks work without.";
  return el("p", { class: "sl-control-hint" }, words, others ? `${others} ` : "", without);
}

function added(task) {
  units(task).push(fresh(task));
  keep();
  draw(task);
  refresh([task]);
  places.get(task)?.querySelector(".sl-control-unit:last-of-type .sl-control-picture")?.focus();
}

function remove(task, index) {
  units(task).splice(index, 1).forEach(forget);
  keep();
  draw(task);
}

/** What a tab's request asks for: {} or {control: {units}}. Throws an error that names what is missing. */
export function modifiers(task) {
  if ("modifiers.control" in form.idle(task)) return {}; // it does not go with the checkpoint
  const list = document.getElementById(`${task}-fold-control`) ? units(task) : []; // clips take none
  const wanted = list.filter((unit) => unit.enabled);
  if (!wanted.length) return {};
  const lacking = list.findIndex((unit) => unit.enabled && !unit.image);
  if (lacking >= 0) {
    unfold(task, "control");
    throw new Error(`Control ${lacking + 1} has no picture: choose one, or switch it off.`);
  }
  return { control: { units: list.filter((unit) => unit.image).map(({ image, painting, ...rest }) => ({ ...rest, image: image.id })) } };
}

/** Take over what a picture was made with; what it had not is switched off. */
export function take(task, params) {
  const before = units(task);
  if (!params?.units) before.forEach((unit) => (unit.enabled = false));
  else {
    const same = (image) => before.find((unit) => image && unit.image?.id === image) ?? { image: image ? { id: image, name: "" } : null };
    const taken = ({ image, painting }) => (painting ? { image, painting } : { image }); // one that was painted here can be painted on
    store.control[task] = params.units.map(({ image, ...rest }) => ({ ...fresh(task), ...rest, ...taken(same(image)) }));
    before.filter((unit) => !store.control[task].some((each) => each.painting === unit.painting)).forEach(forget);
  }
  keep();
  draw(task);
}

function again(tasks) {
  tasks.forEach(draw);
  refresh(tasks);
}

on("restored", () => again(form.tasks()));
on("models", () => again(form.tasks()));
on("library", () => refresh(form.tasks())); // one that was downloaded there
on("tab", (task) => (asked(task) ? draw(task) : again([task])));
on("chosen", (task) => again([task]));
