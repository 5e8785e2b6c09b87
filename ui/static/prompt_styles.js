// Styles: kept pieces of prompt that are put around what one types, as in A1111's styles.csv.

import { api } from "./api.js";
import { on } from "./bus.js";
import { button, el, fill, say } from "./dom.js";
import * as form from "./form.js";
import * as notices from "./notices.js";
import { known, refreshWords } from "./prompt_complete.js";

const NEW = "\u0000new";

/** A chooser that writes a style into the prompt, where it can be seen and changed, and keeps the present prompt as a new one;
 * `naming` is the line in which that is given its name. */
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
    if (name === NEW) return naming.open();
    put(task, name).catch((error) => notices.wrong(task, error));
  });
  const naming = nameLine(task, chooser);
  on("words", draw);
  draw();
  return { chooser, naming: naming.line };
}

/** A line under the box: a name, and whether to keep or leave it. */
function nameLine(task, chooser) {
  const name = el("input", { type: "text", maxlength: "200", autocomplete: "off", placeholder: "A name for the style", aria: { label: "A name for the style" } });
  const put = button({ label: "Keep", kind: "plain", onclick: () => done() });
  const leave = button({ label: "Leave it", kind: "link", onclick: () => shut() });
  const why = el("p", { class: "sl-style-why", role: "alert", hidden: true });
  const line = el("div", { class: "sl-style-name", role: "group", aria: { label: "Keep this prompt as a style" }, hidden: true }, name, put, leave, why);
  const shut = () => {
    line.hidden = true;
    chooser.focus();
  };
  const told = (sentence) => {
    why.hidden = !sentence;
    say(why, sentence);
  };
  const done = async () => {
    const chosen = name.value.trim();
    if (!chosen) return told("Give it a name first.");
    try {
      await save(task, chosen);
      shut();
    } catch (error) {
      told(error.message);
    }
  };
  const draw = () => {
    told("");
    say(put.querySelector("span"), known().styles.some((style) => style.name === name.value.trim()) ? "Replace" : "Keep");
  };
  name.addEventListener("input", draw);
  line.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    if (event.key === "Enter" && event.target !== name) return;
    event.preventDefault();
    event.stopPropagation();
    event.key === "Enter" ? done() : shut();
  });
  const open = () => {
    name.value = "";
    draw();
    line.hidden = false;
    name.focus();
  };
  return { line, open };
}

async function put(task, name) {
  const { prompt, negative_prompt: negative } = await form.draft(task);
  const styled = await api.styled({ prompt, negative_prompt: negative, styles: [name] });
  form.fill(task, styled);
}

async function save(task, name) {
  const { prompt, negative_prompt: negative } = await form.draft(task);
  await api.keepStyle({ name, prompt, negative_prompt: negative });
  await refreshWords(true);
  notices.show(`The style “${name}” is kept.`, { kind: "well", key: "style" });
  setTimeout(() => notices.hide("style"), 4000);
}
