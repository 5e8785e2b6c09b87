// Styles: kept pieces of prompt that are put around what one types, as in A1111's styles.csv.

import { api } from "./api.js";
import { on } from "./bus.js";
import { el, fill } from "./dom.js";
import * as form from "./form.js";
import * as notices from "./notices.js";
import { known, refreshWords } from "./prompt_complete.js";

const NEW = "\u0000new";

/** A chooser that writes a style into the prompt, where it can be seen and changed; and keeps the present prompt as a new one. */
export function styles(task) {
  const chooser = el("select", { class: "sl-styles", aria: { label: "Put a style into the prompt" } });
  const draw = () => {
    const options = known().styles.map(({ name }) => el("option", { value: name, text: name }));
    fill(chooser, el("option", { value: "", text: "Styles" }), ...options, el("option", { value: NEW, text: "Keep this prompt as a style…" }));
    chooser.value = "";
  };
  chooser.addEventListener("pointerdown", () => refreshWords());
  chooser.addEventListener("focus", () => refreshWords());
  chooser.addEventListener("change", () => {
    const name = chooser.value;
    chooser.value = "";
    (name === NEW ? save(task) : put(task, name)).catch((error) => notices.wrong(task, error));
  });
  on("words", draw);
  draw();
  return chooser;
}

async function put(task, name) {
  const { prompt, negative_prompt: negative } = await form.draft(task);
  const styled = await api.styled({ prompt, negative_prompt: negative, styles: [name] });
  form.fill(task, styled);
}

async function save(task) {
  const name = window.prompt("A name for the style")?.trim();
  if (!name) return;
  const { prompt, negative_prompt: negative } = await form.draft(task);
  await api.keepStyle({ name, prompt, negative_prompt: negative });
  await refreshWords(true);
  notices.show(`The style “${name}” is kept.`, { kind: "well", key: "style" });
  setTimeout(() => notices.hide("style"), 4000);
}
