// The bridge to Gradio's controls: reads them all at once, sets any of them, and notices every change.
//
// A tab has two hidden buttons: "pack" makes Gradio hand over all values, "fill" makes it take some. Gradio's own event
// machinery keeps the truth, also for controls in tabs and folds that were not drawn yet.

import { on, tell } from "./bus.js";
import { keep, store } from "./store.js";
import { unfold } from "./unfold.js";
import { checkpoint, choices, fitting, idle as idleFor, models, refreshModels, schedulersOf, schedulesOf, setSchedulers } from "./models.js";

const PATIENCE = 3000; // ms for a tab to be drawn
const DRAWING = 10_000; // ms after a tab was opened in which Gradio may give its controls once more the values it had

let fields = { tabs: {} };
const ready = new Promise((resolve) => on("restored", resolve)); // before it the controls show defaults
let live = false; // whether the controls show what is in the store; before, what they say is only their defaults
const waiting = {}; // by task: resolvers of packs on their way
const pending = {}; // by task: {values, lists} to be taken by the next fill
const filling = {}; // by task: {done, end} of fills that the controls have not taken yet
const listedFor = {}; // by task: scheduler and checkpoint for which schedulers and schedules are listed
const settledOn = {}; // by task: the checkpoint whose settings were taken last
const unheard = {}; // by task: what was typed and Gradio has not told of; of a control that it only just drew it may never
const heard = {}; // by task: what Gradio last told of each control
const openedAt = {}; // by task: when its tab was last opened
const typed = {}; // by task: what was typed while a fill was on its way, which must not undo it

/** Take the description of tabs and controls that the server wrote into the page. */
export function describe(place) {
  fields = JSON.parse(place.dataset.fields);
  setSchedulers(fields.schedulers.schedulers, fields.schedulers.schedules);
  for (const [task, tab] of Object.entries(fields.tabs)) {
    store.values[task] = { ...tab.defaults, ...known(task, store.values[task]) };
    settledOn[task] = store.values[task].checkpoint;
  }
  if (!(store.tab in fields.tabs)) store.tab = Object.keys(fields.tabs)[0];
}

export const tasks = () => Object.keys(fields.tabs);
export const tab = (task) => fields.tabs[task];
export const value = (task, key) => store.values[task]?.[key];
export const control = (task, key) => document.getElementById(fields.tabs[task]?.elements[key] ?? "");

/** The element of a control, its fold opened if it is in one; null for a field without a control. */
export function reveal(task, key) {
  if (!(key in tab(task).elements)) return null;
  unfold(task, tab(task).places[key]);
  return control(task, key);
}

function known(task, values = {}) {
  return Object.fromEntries(Object.entries(values).filter(([key]) => fields.tabs[task].keys.includes(key)));
}

/** The value in a control that is typed into or switched; undefined for one that is chosen from a list. */
function inputValue(input) {
  if (input.matches("textarea")) return input.value;
  if (input.matches("[type=checkbox]")) return input.checked;
  if (!input.matches("[type=number], [type=range]")) return undefined;
  return input.value === "" ? null : input.valueAsNumber;
}

/** Remember what is typed at the very keystroke: Gradio tells of it later, or never if the control was only just drawn. */
export function watchTyping() {
  const typing = ({ target }) => {
    const value = target.matches?.("textarea, input") ? inputValue(target) : undefined;
    if (value === undefined) return;
    for (const task of tasks()) {
      const found = Object.entries(tab(task).elements).find(([, id]) => target.closest(`#${CSS.escape(id)}`));
      if (!found) continue;
      store.values[task][found[0]] = value;
      (unheard[task] ??= {})[found[0]] = value;
      if (!live || filling[task]) (typed[task] ??= {})[found[0]] = value;
      else if (performance.now() - openedAt[task] < DRAWING) fill(task, { [found[0]]: value });
      keep();
    }
  };
  document.addEventListener("input", typing);
  for (const target of window.safelight.early ?? []) typing({ target });
  delete window.safelight.early; // from here on each is heard as it happens
}

/** What Gradio tells of the controls; what it has not heard of yet, and stands there, counts more. */
function take(task, values) {
  const own = unheard[task] ?? {};
  const before = heard[task];
  tab(task).keys.forEach((key, index) => {
    const news = before && values[index] !== before[key];
    if (key in own && (news || standing(task, key) !== own[key])) delete own[key];
    store.values[task][key] = key in own ? own[key] : values[index];
  });
  heard[task] = Object.fromEntries(tab(task).keys.map((key, index) => [key, values[index]]));
  keep();
}

/** What stands in a control that is typed into. */
function standing(task, key) {
  const input = control(task, key)?.querySelector("textarea, input");
  return input ? inputValue(input) : undefined;
}

/** All values of a tab as they stand in its controls, after what is on its way to them. */
async function pack(task) {
  await ready;
  await filling[task]?.done;
  return new Promise((resolve) => {
    (waiting[task] ??= []).push(resolve);
    document.getElementById(`${task}-pack`).click();
  });
}

/** Give controls of a tab new values, and lists to choose from; keys the tab does not have are left out. */
export function fill(task, values, lists = {}) {
  const part = known(task, values);
  Object.assign(store.values[task], part);
  for (const key of Object.keys(part)) delete unheard[task]?.[key];
  if ("checkpoint" in part) settledOn[task] = part.checkpoint;
  keep();
  if (live) hand(task, part, lists);
  tell("values", task);
}

function hand(task, part, lists) {
  const next = (pending[task] ??= { values: {}, lists: {} });
  Object.assign(next.values, part);
  Object.assign(next.lists, lists);
  const taker = document.getElementById(`${task}-fill`);
  if (!taker) return;
  filling[task] ??= ending();
  taker.click();
}

function ending() {
  const fills = {};
  fills.done = new Promise((resolve) => (fills.end = resolve));
  return fills;
}

function filledIn(task) {
  filling[task]?.end();
  delete filling[task];
}

/** The request that the controls of a tab describe, without its pictures. */
export async function draft(task) {
  const values = await pack(task);
  const vain = checkpoint(value(task, "checkpoint"))?.idle ?? {}; // what does not go with it keeps its settings, and is not asked for
  const request = { task: tab(task).task };
  const modifiers = {};
  for (const [key, each] of Object.entries(values)) {
    const [head, name, parameter] = key.split(".");
    if (key in vain || `${head}.${name}` in vain) continue;
    else if (head !== "modifiers") request[key] = each;
    else if (parameter === undefined && each) modifiers[name] ??= {};
    else if (parameter !== undefined && values[`${head}.${name}`]) (modifiers[name] ??= {})[parameter] = each;
  }
  if (request.seed === null || request.seed === "") request.seed = -1;
  return { ...request, modifiers };
}

function update(task, key, { values, lists }) {
  if (key in lists) return { __type__: "update", choices: lists[key], ...(key in values ? { value: values[key] } : {}) };
  return key in values ? values[key] : undefined; // Gradio leaves a control alone that is given undefined
}

/** Schedulers and schedules are listed as they go with the checkpoint and with each other; what does not go gives way. */
function samplers(task) {
  const [scheduler, checkpoint] = [value(task, "scheduler"), value(task, "checkpoint")];
  if (listedFor[task] === `${scheduler} ${checkpoint}` || !tab(task).keys.includes("schedule")) return;
  listedFor[task] = `${scheduler} ${checkpoint}`;
  const able = schedulersOf(checkpoint).map(([, name]) => name);
  const kept = able.includes(scheduler) ? scheduler : (recommended(checkpoint).scheduler ?? able[0]);
  const fits = schedulesOf(kept, checkpoint).some(([, name]) => name === value(task, "schedule"));
  const values = { ...(kept === scheduler ? {} : { scheduler: kept }), ...(fits ? {} : { schedule: "automatic" }) };
  fill(task, values, choices(kept, checkpoint, tab(task)));
}

/** The fields of a tab that have no effect as it stands, and why. */
export const idle = (task) => idleFor(value(task, "scheduler"), value(task, "checkpoint"));

const listsOf = (task) => choices(value(task, "scheduler"), value(task, "checkpoint"), tab(task));

/** Settings the checkpoint's makers recommend, as values of controls. */
function recommended(checkpoint) {
  return models().checkpoints.find((each) => each.name === checkpoint)?.recommended ?? {};
}

// What Gradio's events call, as safelight.form.
export const bridge = {
  packed(task, values) {
    take(task, values);
    const packed = { ...store.values[task] };
    for (const resolve of (waiting[task] ?? []).splice(0)) resolve(packed);
    return [];
  },
  pending(task) {
    const next = pending[task] ?? { values: {}, lists: {} };
    delete pending[task];
    return tab(task).keys.map((key) => update(task, key, next));
  },
  filled(task, values) {
    if (pending[task]) return []; // the next fill is on its way
    if (typed[task]) {
      again(task);
      return [];
    }
    filledIn(task);
    return bridge.changed(task, values);
  },
  changed(task, values) {
    if (!live || !tab(task) || filling[task]) return []; // older than what is being filled in
    take(task, values);
    samplers(task);
    tell("values", task);
    return [];
  },
  chosen(task, checkpoint) {
    if (checkpoint === settledOn[task]) return []; // Gradio says so too when the list is merely left
    const { negative_prompt: negative, ...settings } = recommended(checkpoint);
    fill(task, { ...settings, ...(negative && !value(task, "negative_prompt") ? { negative_prompt: negative } : {}), checkpoint });
    tell("chosen", task);
    return [];
  },
  async restored() {
    await refreshModels().catch(() => {}); // so that every value finds itself in its list
    await opened(store.tab);
    return tasks().flatMap((task) => {
      const next = { values: store.values[task], lists: listsOf(task) };
      return tab(task).keys.map((key) => update(task, key, next));
    });
  },
  settled() {
    live = true;
    for (const task of Object.keys(typed)) again(task);
    tell("restored");
    return [];
  },
};

/** What was typed while the controls were given their values counts. */
function again(task) {
  const values = typed[task];
  delete typed[task];
  fill(task, values);
}

/** Open a tab and wait until it is drawn: Gradio forgets what it is told for controls that it is just drawing. */
async function opened(task) {
  document.getElementById(`${task}-tab-button`)?.click();
  const there = () => control(task, tab(task).keys[0])?.checkVisibility();
  for (const end = performance.now() + PATIENCE; !there() && performance.now() < end; ) await new Promise(requestAnimationFrame);
}

// A tab that is opened is drawn anew, or for the first time: give its controls their values again.
on("tab", (task) => {
  openedAt[task] = performance.now();
  ready.then(() => fill(task, store.values[task], listsOf(task)));
});

on("models", () => {
  for (const task of tasks()) fill(task, settled(task), listsOf(task));
});

/** A checkpoint that is gone gives way to the default one, with its settings; so does none at all. */
function settled(task) {
  const { vaes, default: usual } = models();
  const checkpoints = fitting(tab(task));
  const first = checkpoints.find((each) => each.name === usual)?.name ?? checkpoints.find((each) => !each.broken)?.name;
  const missing = (list, name) => !list.some((each) => each.name === name);
  const values = {};
  if (first && missing(checkpoints, value(task, "checkpoint"))) Object.assign(values, recommended(first), { checkpoint: first });
  if (!first && checkpoints.length === 0 && value(task, "checkpoint")) values.checkpoint = "";
  if (value(task, "vae") !== "automatic" && missing(vaes, value(task, "vae"))) values.vae = "automatic";
  return values;
}
