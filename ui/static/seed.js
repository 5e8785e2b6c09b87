// The three ways to a seed: a new one each time, the one that is kept, the last one again.

import { on } from "./bus.js";
import { button, el, fill } from "./dom.js";
import * as form from "./form.js";
import { store } from "./store.js";
import * as view from "./view.js";

const SEEDS = 2 ** 32 - 8;

export function seedTools(place) {
  const task = place.dataset.tab;
  const set = (seed) => () => form.fill(task, { seed });
  const last = () => view.shown()[0]?.seed ?? store.lastSeed;
  const draw = () => {
    const seed = form.value(task, "seed");
    const random = seed === null || seed === undefined || seed < 0;
    const fix = () => form.fill(task, { seed: random ? (last() ?? Math.floor(Math.random() * SEEDS)) : -1 });
    const dice = button({ label: "Random seed each time", icon: "dice", quiet: true, onclick: set(-1) });
    const lock = button({ label: "Keep this seed", icon: "lock", quiet: true, onclick: fix });
    const again = button({ label: "Reuse last seed", icon: "again", quiet: true, onclick: () => form.fill(task, { seed: last() }) });
    dice.setAttribute("aria-pressed", String(random));
    lock.setAttribute("aria-pressed", String(!random));
    again.disabled = last() === null || last() === undefined;
    const held = place.contains(document.activeElement) ? [...place.querySelectorAll("button")].indexOf(document.activeElement) : -1;
    fill(place, el("div", { class: "sl-seed-tools", role: "group", aria: { label: "Seed" } }, dice, lock, again));
    place.querySelectorAll("button")[held]?.focus();
  };
  on("values", (changed) => changed === task && draw());
  on("images", draw);
  on("submitted", draw);
  draw();
}
