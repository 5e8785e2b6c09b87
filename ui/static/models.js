// The checkpoints, VAEs and schedulers on offer, kept fresh: models appear without a restart.

import { api } from "./api.js";
import { tell } from "./bus.js";

let offered = { default: null, checkpoints: [], vaes: [], upscalers: [] };
let schedulers = [];
let schedules = [];

export const models = () => offered;
export const asked = () => offered.default !== null; // whether the studio has told what there is
export const checkpoint = (name) => offered.checkpoints.find((each) => each.name === name);

/** The checkpoints that go with a tab: those that make clips with one that does, all others with the others. */
export const fitting = ({ moves }) => offered.checkpoints.filter(({ tasks, broken }) => Boolean(broken) || tasks.includes("img2vid") === Boolean(moves));

/** Whether there is a checkpoint that can do this. */
export const able = (task) => offered.checkpoints.some(({ tasks, broken }) => !broken && tasks.includes(task));

export function setSchedulers(list, titles) {
  schedulers = list;
  schedules = titles;
}

/** Ask what there is now; everyone is told if it changed. */
export async function refreshModels() {
  const now = await api.models();
  const changed = JSON.stringify(shape(now)) !== JSON.stringify(shape(offered));
  offered = now;
  if (changed) tell("models", now);
  tell("loaded", now);
}

const shape = (list) => [list.default, list.checkpoints.map(({ loaded, ...rest }) => rest), list.vaes, list.upscalers];

function label({ title, name, broken }) {
  return broken ? `${title || name}: cannot be used. ${broken}` : title || name;
}

const pairs = (list) => list.map(({ title, name }) => [title, name]);

/** The schedules that go with a scheduler and a checkpoint, as (title, name) pairs. */
export function schedulesOf(scheduler, model) {
  const names = schedulers.find((each) => each.name === scheduler)?.schedules ?? ["automatic"];
  const known = checkpoint(model)?.schedules ?? [];
  return pairs(schedules.filter(({ name }) => names.includes(name) && (!known.length || known.includes(name))));
}

/** The schedulers that can do a checkpoint, as (title, name) pairs. */
export function schedulersOf(model) {
  const noise = checkpoint(model)?.noise;
  return pairs(schedulers.filter((each) => !noise || each.noise.includes(noise)));
}

export const scheduler = (name) => schedulers.find((each) => each.name === name);

/** The fields that have no effect with this scheduler and checkpoint, and why. */
export function idle(scheduler, model) {
  const chosen = schedulers.find((each) => each.name === scheduler);
  const settings = chosen ? new Set(schedulers.flatMap((each) => each.settings).filter((name) => !chosen.settings.includes(name))) : [];
  const why = `${chosen?.title} has no use for it.`;
  return { ...Object.fromEntries([...settings].map((name) => [name, why])), ...checkpoint(model)?.idle };
}

const continues = ({ name, latents }, model) => name !== model && latents !== "" && latents === checkpoint(model)?.latents;

/** The lists that controls share, by what they hold. */
const SHARED = {
  schedulers: schedulersOf,
  schedules: () => schedules.map(({ title, name }) => [title, name]),
  checkpoints: () => offered.checkpoints.map((each) => [label(each), each.name]),
  continuing: (model) => offered.checkpoints.filter((each) => continues(each, model)).map((each) => [label(each), each.name]),
  upscalers: () => offered.upscalers.map((each) => [label(each), each.name]),
  vaes: () => offered.vaes.map((each) => [label(each), each.name]),
};

/** The list of every control that chooses from one; `lists` says which controls share one. */
export function choices(scheduler, model, tab) {
  const { lists } = tab;
  const shared = Object.entries(lists).filter(([, { from }]) => SHARED[from] && offered.checkpoints.length);
  return {
    ...Object.fromEntries(shared.map(([key, { from, empty }]) => [key, [...(empty ? [[empty, ""]] : []), ...SHARED[from](model)]])),
    ...(offered.checkpoints.length ? { checkpoint: fitting(tab).map((each) => [label(each), each.name]) } : {}),
    vae: [["Automatic", "automatic"], ...offered.vaes.map((each) => [label(each), each.name])],
    scheduler: schedulersOf(model),
    schedule: schedulesOf(scheduler, model),
  };
}

const TITLES = { scheduler: () => schedulers, schedule: () => schedules, checkpoint: () => offered.checkpoints, vae: () => offered.vaes };

/** The name a person knows for the value of a field. */
export const titleOf = (field, value) => TITLES[field]?.().find((each) => each.name === value)?.title || String(value);
