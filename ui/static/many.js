// One click for many jobs: a prompt for each line, each combination of a matrix, and words of its own for every picture.

import { on } from "./bus.js";
import { el, fill } from "./dom.js";
import { keep, store } from "./store.js";

const DYNAMIC = /__[^_]|\{[^{}]*[|$]/; // wildcards or variants: the server decides what they are

/** What a tab's click asks for besides its request, or null where it is one job. */
export function batch(task, request) {
  const { matrix = false, lines = "" } = store.many[task] ?? {};
  const own = request.num_images_per_prompt > 1 && (DYNAMIC.test(request.prompt) || DYNAMIC.test(request.negative_prompt));
  return matrix || lines.trim() || own ? { matrix, lines } : null;
}

/** Fill the place for these settings in a tab. */
export function many(place) {
  const task = place.dataset.tab;
  const set = (change) => {
    store.many[task] = { ...store.many[task], ...change };
    keep();
  };
  const box = el("input", { type: "checkbox", id: `${task}-matrix`, on: { change: () => set({ matrix: box.checked }) } });
  const help = "Each combination of what stands between | in the prompt becomes a picture.";
  const area = el("textarea", {
    id: `${task}-lines`,
    rows: "2",
    spellcheck: "false",
    placeholder: 'One prompt a line, or options: --prompt "a cat" --steps 20',
    on: { input: () => set({ lines: area.value }) },
  });
  box.checked = store.many[task]?.matrix ?? false;
  area.value = store.many[task]?.lines ?? "";
  fill(
    place,
    el("label", { class: "sl-many-switch", title: help }, box, el("span", { text: "Prompt matrix" }), el("small", { text: help })),
    el("label", { class: "sl-many-lines" }, el("span", { text: "Prompts from a list" }), area),
  );
}

on("restored", () => document.querySelectorAll("[data-mount=many]").forEach(many));
