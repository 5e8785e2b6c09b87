// What there is to steer with, as the studio tells it: preprocessors and ControlNets.

import { read } from "./api.js";
import * as form from "./form.js";
import { checkpoint } from "./models.js";

let offered = { preprocessors: [], controlnets: [] };
const nets = new Map(); // ControlNets by checkpoint, with why some do not go with it

const checkpointOf = (task) => form.value(task, "checkpoint") ?? "";
const all = (task) => nets.get(checkpointOf(task)) ?? offered.controlnets;

export const offer = () => offered;
export const preprocessor = (name) => offered.preprocessors.find((each) => each.name === name);
export const preview = (question) => read("POST", "/control/preview", { json: question });

/** Whether it has been asked what goes with a tab's checkpoint. */
export const asked = (task) => nets.has(checkpointOf(task));

/** Asks what there is now, for the checkpoints of these tabs; whether that is something new. */
export async function refreshOffer(tasks) {
  const before = told();
  for (const name of new Set(tasks.map(checkpointOf))) {
    offered = await read("GET", `/control?checkpoint=${encodeURIComponent(name)}`);
    nets.set(name, offered.controlnets);
  }
  return told() !== before;
}

const told = () => JSON.stringify([offered.preprocessors, ...nets]);

/** The ControlNets that go with a tab's checkpoint. */
export const fitting = (task) => all(task).filter((net) => !net.broken && !net.misfit);

/** Why those are not listed that do not go with it, in one sentence; "" where all do. */
export function unfitting(task) {
  const others = all(task).filter((net) => net.broken || net.misfit);
  if (!others.length) return "";
  if (others.length === 1) return others[0].broken ?? others[0].misfit;
  const why = (net) => (net.broken ? "cannot be used" : net.family_title ?? "for another kind");
  const named = others.slice(0, 3).map((net) => `${net.title} (${why(net)})`);
  const more = others.length > 3 ? ` and ${others.length - 3} more` : "";
  const model = checkpoint(checkpointOf(task))?.title ?? "this checkpoint";
  return `Not listed, because they do not go with ${model}: ${named.join(", ")}${more}.`;
}

/** What is lacking for preprocessors that take a model, each once, as {sentence, example}. */
export function lacking() {
  const missing = offered.preprocessors.map((each) => each.missing).filter(Boolean);
  return [...new Map(missing.map((each) => [each.example, each])).values()];
}

/** The ControlNet to begin with for pictures of a preprocessor: one whose name says that it suits. */
export function suiting(task, name) {
  const words = preprocessor(name)?.suits ?? [];
  const found = words.map((word) => fitting(task).find((net) => net.name.toLowerCase().includes(word))).find(Boolean);
  return found?.name ?? "";
}

/** The list of what can be made of a unit's picture, as [title, value, whether it can be chosen]. */
export function kindChoices(unit) {
  const listed = offered.preprocessors.filter((each) => !each.missing || each.name === unit.preprocessor);
  return listed.map((each) => [each.missing ? `${each.title} (no model)` : each.title, each.name, true]);
}

/** The list of a unit's ControlNets, likewise. */
export function modelChoices(task, unit) {
  const { steering = "model" } = preprocessor(unit.preprocessor) ?? {};
  if (steering === "attention") return [["None needed", "", true]];
  const own = fitting(task).map((net) => [net.title, net.name, true]);
  const none = steering === "layout" ? "Without a ControlNet" : own.length ? "Choose one" : "None is here";
  const kept = unit.model && !own.some(([, name]) => name === unit.model) ? [[`${unit.model} (${state(task, unit.model)})`, unit.model, true]] : [];
  return [[none, "", true], ...own, ...kept];
}

const state = (task, name) => (all(task).some((net) => net.name === name) ? "does not fit" : "not here");
