// What stands under a prompt box: how long the prompt is, what it means, what is wrong with it; and the keys that change it.

import { api } from "./api.js";
import { on } from "./bus.js";
import { button, el, fill, say } from "./dom.js";
import * as form from "./form.js";
import { complete } from "./prompt_complete.js";
import { move, reweigh } from "./prompt_edit.js";
import { reading } from "./prompt_reading.js";
import { styles } from "./prompt_styles.js";

const MOST = 5; // notices shown at once
const PAUSE = 200; // ms without a key before the studio is asked what a prompt means

const box = (task, field) => form.control(task, field)?.querySelector("textarea");

/** Fill the place under a prompt box. */
export function promptTools(place) {
  const { tab: task, field } = place.dataset;
  const told = el("output", { class: "sl-prompt-length", aria: { label: "Length of the prompt" } });
  const wrong = el("ul", { class: "sl-prompt-notices", aria: { live: "polite" } });
  const detail = el("div", { class: "sl-prompt-reading", hidden: true });
  const open = button({ label: "Show how it is read", kind: "link", onclick: () => unfold(detail.hidden) });
  open.setAttribute("aria-expanded", "false");
  const unfold = (show) => {
    detail.hidden = !show;
    open.setAttribute("aria-expanded", String(show));
    say(open.firstChild, show ? "Hide how it is read" : "Show how it is read");
  };
  const { chooser, naming } = field === "prompt" ? styles(task) : {};
  const strip = el("div", { class: "sl-prompt-strip" }, told, chooser, open);
  fill(place, ...[strip, naming, wrong, detail].filter(Boolean));

  let asked = 0;
  let planned = 0;
  let shown = null;
  const ask = async () => {
    const wanted = question(task, field);
    const key = JSON.stringify(wanted);
    if (key === shown) return;
    shown = key;
    const turn = (asked += 1);
    let found;
    try {
      found = await api.prompt(wanted);
    } catch {
      shown = null;
      return; // the studio is away, and says so elsewhere
    }
    if (turn !== asked) return;
    found = inUnits(wanted.text, found);
    say(told, length(found));
    told.title = found.lengths ? "As the wildcards fall; a locked seed decides them." : "";
    open.hidden = !wanted.text.trim();
    if (open.hidden) unfold(false);
    const amiss = [...found.notices, ...lonely(found.unbalanced)];
    const more = amiss.length > MOST ? [el("li", { class: "sl-prompt-more", text: `and ${amiss.length - MOST} more` })] : [];
    fill(wrong, ...amiss.slice(0, MOST).map((notice) => mistake(task, field, notice)), ...more);
    fill(detail, ...reading(wanted.text, found));
  };
  const soon = () => {
    clearTimeout(planned);
    planned = setTimeout(ask, PAUSE);
  };
  on("values", (changed) => changed === task && soon());
  on("words", soon);
  document.addEventListener("input", ({ target }) => target === box(task, field) && soon());
  soon();
}

function question(task, field) {
  const of = (key) => form.value(task, key);
  return {
    text: of(field) ?? "",
    checkpoint: of("checkpoint") ?? "",
    num_inference_steps: of("num_inference_steps") ?? 20,
    prompt_syntax: of("prompt_syntax") ?? "a1111",
    negative: field.startsWith("negative"),
    seed: Number.isInteger(of("seed")) ? of("seed") : -1,
  };
}

/** The studio counts characters; a text here is counted in units of 16 bits, of which some characters have two. */
function inUnits(text, found) {
  if (!/[\ud800-\udbff]/.test(text)) return found;
  const at = [0];
  for (const character of text) at.push(at.at(-1) + character.length);
  const places = new Set(["start", "end", "position"]);
  const turned = (value, key) => (places.has(key) && typeof value === "number" ? (at[value] ?? text.length) : value);
  return JSON.parse(JSON.stringify(found), (key, value) => turned(value, key));
}

/** "12 of 75 tokens"; with more chunks, what each has; of a prompt that changes on the way, the longest text; of one with
 * wildcards, from how many to how many tokens it may become. */
function length({ timeline, lengths, dynamic }) {
  if (lengths) return `${lengths[0] === lengths[1] ? lengths[0] : lengths.join("–")} tokens`;
  if (dynamic) return ""; // what is amiss keeps it from becoming anything
  const entry = timeline.reduce((most, each) => (each.tokens > most.tokens ? each : most));
  const chunks = entry.parts.reduce((most, each) => (each.chunks.length > most.length ? each.chunks : most), []);
  if (chunks.length < 2) return chunks.length ? `${chunks[0].tokens} of ${chunks[0].room} tokens` : "";
  const each = chunks.length <= 4 ? ` (${chunks.map((chunk) => chunk.tokens).join(" + ")})` : "";
  return `${entry.tokens} tokens in ${chunks.length} chunks${each}`;
}

/** One notice for all brackets without a partner; it leads to the first. */
function lonely(brackets) {
  if (!brackets.length) return [];
  const [{ position, character }] = brackets;
  const sentence = brackets.length === 1 ? `This ${character} has no partner.` : `${brackets.length} brackets have no partner, this ${character} first.`;
  return [{ sentence, start: position, end: position + 1 }];
}

function mistake(task, field, { sentence, start, end }) {
  const show = () => {
    const area = box(task, field);
    area?.focus();
    area?.setSelectionRange(start, Math.max(end, start));
  };
  return el("li", {}, el("button", { type: "button", class: "sl-prompt-notice", text: sentence, on: { click: show } }));
}

/** Put other text into a prompt box as if it were typed: it can be undone, and the form hears of it. */
export function type(area, { text, start, end }) {
  let same = 0;
  while (same < text.length && text[same] === area.value[same]) same += 1;
  let tail = 0;
  const most = Math.min(text.length, area.value.length) - same;
  while (tail < most && text.at(-1 - tail) === area.value.at(-1 - tail)) tail += 1;
  area.focus();
  area.setSelectionRange(same, area.value.length - tail);
  const put = text.slice(same, text.length - tail);
  const done = put ? document.execCommand("insertText", false, put) : document.execCommand("delete");
  if (!done || area.value !== text) {
    area.value = text;
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }
  area.setSelectionRange(start, end);
}

/** Ctrl+Up and Ctrl+Down change the weight at the caret, Alt+Left and Alt+Right move the phrase. */
export function watchPrompts() {
  const fields = new Set(["prompt", "negative_prompt", "prompt_2", "negative_prompt_2"]);
  const isPrompt = (area) =>
    area?.matches?.("textarea") && form.tasks().some((task) => [...fields].some((field) => box(task, field) === area));
  document.addEventListener("keydown", (event) => {
    const area = event.target;
    if (event.defaultPrevented || event.isComposing || !isPrompt(area)) return;
    const upright = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    const sideways = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const { value, selectionStart: start, selectionEnd: end } = area;
    let next;
    if (upright && (event.ctrlKey || event.metaKey) && !event.altKey) next = reweigh(value, start, end, upright);
    else if (sideways && event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey) next = move(value, start, end, sideways);
    else return;
    event.preventDefault();
    if (next) type(area, next);
  });
  complete(isPrompt, type);
}
