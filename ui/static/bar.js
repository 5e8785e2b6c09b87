// The bar: the name, the checkpoint and what the engine is doing, how much waits, and the look.

import { api } from "./api.js";
import { on, tell } from "./bus.js";
import { button, el, fill, say } from "./dom.js";
import { choosePicture } from "./drop.js";
import * as form from "./form.js";
import * as jobs from "./jobs.js";
import * as library from "./library_door.js";
import { asked, checkpoint, refreshModels, titleOf } from "./models.js";
import * as notices from "./notices.js";
import { store } from "./store.js";

const CALM = 5000;
const ANXIOUS = 1000;
const UNWELL = {
  starting: "engine starting",
  restarting: "engine restarting",
  failed: "engine failed",
  stopped: "engine stopped",
  lost: "not answering",
};
const parts = {};
let health = { engine: "starting", loaded: [] };

export const engine = () => health.engine;

export function bar(place) {
  parts.model = el("strong", {});
  parts.state = el("span", { class: "sl-engine" });
  parts.dot = el("span", { class: "sl-dot", aria: { hidden: "true" } });
  parts.count = el("span", { class: "sl-count" });
  parts.look = el("span", {});
  const lamp = el("span", { class: "sl-lamp", aria: { hidden: "true" } });
  const name = el("h1", { class: "sl-name" }, lamp, el("span", { text: "Safelight" }));
  const choose = { type: "button", class: "sl-model", title: "Choose another checkpoint", on: { click: chooseModel } };
  const model = el("button", choose, parts.dot, parts.model, parts.state);
  const shelf = button({ label: "Models", icon: "shelf", kind: "ghost sl-to-models", title: "Models (Alt+M)", "aria-label": "Models", onclick: library.toggle });
  on("library", (open) => shelf.setAttribute("aria-expanded", String(open)));
  const open = button({ label: "Open a picture to read how it was made", icon: "open", quiet: true, onclick: choosePicture });
  fill(place, name, model, el("div", { class: "sl-bar-end" }, parts.count, shelf, open, parts.look));
  for (const each of ["jobs", "models", "values", "tab"]) on(each, draw);
  on("loaded", loaded);
  drawLook();
  draw();
  ask();
}

/** The list of models knows sooner than the next look at the engine. */
function loaded({ checkpoints }) {
  health = { ...health, loaded: checkpoints.filter((each) => each.loaded).map((each) => each.name) };
  draw();
}

function chooseModel() {
  const list = form.reveal(store.tab, "checkpoint");
  list?.querySelector("input").focus();
}

/** The engine's state, often while it is not well. A restart is told once, and that it is over. What the program had to
 * leave out at its start, such as a broken extension, is told once. */
async function ask() {
  const before = health.engine;
  const first = health.notices === undefined;
  try {
    health = await api.health();
    tell("health", health);
  } catch {
    health = { ...health, engine: "lost" };
  }
  if (health.engine !== before) changed(before, health);
  if (first) health.notices?.forEach((said, index) => notices.show(said, { key: `start-${index}` }));
  draw();
  setTimeout(ask, health.engine === "ready" && !document.hidden ? CALM : ANXIOUS);
}

function changed(before, { engine, message }) {
  const again = "The engine stopped and is starting again. Nothing is lost.";
  if (engine === "restarting") notices.show(message ?? again, { key: "engine", kind: "well", stays: true });
  else if (engine === "failed") notices.show(message ?? "The engine cannot start.", { key: "engine" });
  else if (engine === "ready") notices.hide("engine");
  if (engine === "ready" && before !== "ready") refreshModels().catch(() => {});
}

function draw() {
  const model = checkpoint(form.value(store.tab, "checkpoint"));
  say(parts.model, model ? model.title || model.name : asked() ? "No checkpoint" : "");
  const [kind, words] = state(model);
  parts.dot.dataset.state = kind;
  say(parts.state, words);
  parts.state.title = health.memory_plan ?? "";
  const waiting = jobs.waiting().length;
  say(parts.count, waiting ? `${waiting} waiting` : "");
}

function state(model) {
  const loading = jobs.developing().find((job) => job.loading);
  const said = UNWELL[health.engine];
  if (said) return [health.engine === "failed" || health.engine === "lost" ? "wrong" : "busy", said];
  if (loading) return ["busy", `loading ${titleOf("checkpoint", loading.loading)}`];
  if (!asked()) return ["busy", "looking for checkpoints"];
  if (!model) return ["wrong", "put one into models/checkpoints"];
  if (model.broken) return ["wrong", "cannot be used"];
  if (health.loaded.includes(model.name)) return ["ready", `loaded${memory(health.memory_bytes)}${waiting(health.waiting_bytes)}`];
  return ["idle", "loads with the first picture"];
}

const size = (bytes) => (bytes > 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.round(bytes / 1e6)} MB`);
const memory = (bytes) => (bytes > 1e6 ? ` · ${size(bytes)}` : "");

/** What of it is not on the device all the time. */
const waiting = (bytes) => (bytes > 1e6 ? ` (${size(bytes)} in main memory)` : "");

function drawLook() {
  const dark = document.documentElement.dataset.look !== "light";
  const turn = () => {
    document.documentElement.dataset.look = dark ? "light" : "dark";
    localStorage.setItem("safelight.look", document.documentElement.dataset.look);
    drawLook();
    parts.look.querySelector("button").focus();
  };
  document.body.classList.toggle("dark", dark);
  const [label, name] = dark ? ["Light look", "sun"] : ["Dark look", "moon"];
  fill(parts.look, button({ label, icon: name, quiet: true, onclick: turn }));
}
