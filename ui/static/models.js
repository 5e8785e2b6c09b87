// The checkpoints, VAEs and schedulers on offer, kept fresh: models appear without a restart.

import { api } from "./api.js";
import { tell } from "./bus.js";

let offered = { default: null, checkpoints: [], vaes: [], upscalers: [] };
let schedulers = [];
let schedules = [];

export const models = () => offered;
export const asked = () => offered.default !== null; // whether the studio has told what there is
export const checkpoint = (name) => offered.checkpoints.find((each) => each.name === name);

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

/** The schedules that go with a scheduler, as (title, name) pairs. */
export function schedulesOf(scheduler) {
  const names = schedulers.find((each) => each.name === scheduler)?.schedules ?? ["automatic"];
  return schedules.filter(({ name }) => names.includes(name)).map(({ title, name }) => [title, name]);
}

/** The lists that controls share, by what they hold. */
const SHARED = {
  schedulers: () => schedulers.map(({ title, name }) => [title, name]),
  schedules: () => schedules.map(({ title, name }) => [title, name]),
  checkpoints: () => offered.checkpoints.map((each) => [label(each), each.name]),
  upscalers: () => offered.upscalers.map((each) => [label(each), each.name]),
  vaes: () => offered.vaes.map((each) => [label(each), each.name]),
};

/** The list of every control that chooses from one; `lists` says which controls share one. */
export function choices(scheduler, lists = {}) {
  const shared = Object.entries(lists).filter(([, { from }]) => SHARED[from] && offered.checkpoints.length);
  return {
    ...Object.fromEntries(shared.map(([key, { from, empty }]) => [key, [...(empty ? [[empty, ""]] : []), ...SHARED[from]()]])),
    ...(offered.checkpoints.length ? { checkpoint: offered.checkpoints.map((each) => [label(each), each.name]) } : {}),
    vae: [["Automatic", "automatic"], ...offered.vaes.map((each) => [label(each), each.name])],
    schedule: schedulesOf(scheduler),
  };
}

const TITLES = { scheduler: () => schedulers, schedule: () => schedules, checkpoint: () => offered.checkpoints, vae: () => offered.vaes };

/** The name a person knows for the value of a field. */
export const titleOf = (field, value) => TITLES[field]?.().find((each) => each.name === value)?.title || String(value);
