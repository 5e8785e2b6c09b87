// What there is to steer with, as the studio tells it: preprocessors and ControlNets.

import { read } from "./api.js";
import * as form from "./form.js";
import { checkpoint } from "./models.js";

let offered = { preprocessors: [], controlnets: [] };

export const offer = () => offered;
export const preprocessor = (name) => offered.preprocessors.find((each) => each.name === name);
export const preview = (question) => read("POST", "/control/preview", { json: question });

export async function refreshOffer() {
  offered = await read("GET", "/control");
}

/** The ControlNets that are made for a tab's checkpoint; those whose family nobody can tell are among them. */
export function fitting(task) {
  const family = checkpoint(form.value(task, "checkpoint"))?.family;
  return offered.controlnets.filter((net) => !net.broken && (!net.family || !family || net.family === family));
}

/** The ControlNet to begin with for pictures of a preprocessor: one whose name says that it suits. */
export function suiting(task, name) {
  const words = preprocessor(name)?.suits ?? [];
  const found = words.map((word) => fitting(task).find((net) => net.name.toLowerCase().includes(word))).find(Boolean);
  return found?.name ?? "";
}

/** The list of a unit's models, as [title, value, whether it can be chosen]. */
export function modelChoices(task, unit) {
  const { steering = "model" } = preprocessor(unit.preprocessor) ?? {};
  if (steering === "attention") return [["None needed", "", true]];
  const fits = new Set(fitting(task));
  const own = offered.controlnets.filter((net) => fits.has(net)).map((net) => [net.title, net.name, true]);
  const others = offered.controlnets.filter((net) => !fits.has(net));
  const rest = others.map((net) => [net.broken ? `${net.title}: cannot be used` : `${net.title} (${net.family_title})`, net.name, false]);
  const none = steering === "layout" ? "Without a ControlNet" : own.length ? "Choose one" : "None is here";
  const gone = unit.model && !offered.controlnets.some((net) => net.name === unit.model) ? [[`${unit.model} (not here)`, unit.model, true]] : [];
  return [[none, "", true], ...own, ...gone, ...rest];
}
