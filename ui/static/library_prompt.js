// Puts a LoRA, an embedding or a trigger word into the prompt of the open tab, where the caret was.

import * as form from "./form.js";
import * as notices from "./notices.js";
import { type } from "./prompt.js";
import { store } from "./store.js";

const FIELDS = { prompt: "the prompt", negative_prompt: "the negative prompt" };

/** Add `wanted` at the caret, as far as it is not in the prompt already; parted from its neighbours by commas, a `<lora:...>` by a
 * space. What was done, in words. */
export function add(wanted, field = "prompt") {
  const task = store.tab;
  const area = box(task, field);
  const text = area ? area.value : (form.value(task, field) ?? "");
  const words = lacking(text, wanted);
  if (!words) return told(`${wanted} is in ${FIELDS[field]} already.`);
  const at = area ? area.selectionEnd : text.length;
  const before = text.slice(0, at);
  const after = text.slice(at);
  const left = !before.trim() || /[\s,(]$/.test(before) ? "" : words.startsWith("<") ? " " : ", ";
  const space = /,$/.test(before) ? " " : "";
  const right = !after.trim() || /^[\s,)]/.test(after) ? "" : words.endsWith(">") ? " " : ", ";
  const put = left + space + words;
  const caret = at + put.length;
  const next = before + put + right + after;
  const said = `${words} is in ${FIELDS[field]} now.`;
  if (area) {
    const held = document.activeElement;
    type(area, { text: next, start: caret, end: caret });
    if (held?.isConnected) held.focus({ preventScroll: true });
    return said;
  }
  form.fill(task, { [field]: next });
  return told(said); // it happened out of sight
}

function told(said) {
  notices.show(said, { key: "added", kind: "well" });
  return said;
}

/** What of `words`, a LoRA and phrases, a prompt does not have yet; a LoRA counts at any weight, a phrase in any case. */
function lacking(text, words) {
  const [, network, rest] = /^(<[^>]*>)?(.*)$/s.exec(words);
  const [, name] = /^<(?:lora|lyco):([^:>]+)/.exec(network ?? "") ?? [];
  const held = name && new RegExp(`<(?:lora|lyco):${literal(name)}[:>]`).test(text);
  const phrases = rest.split(",").map((phrase) => phrase.trim()).filter((phrase) => phrase && !says(text, phrase)); // prettier-ignore
  return [held ? "" : network, phrases.join(", ")].filter(Boolean).join(" ");
}

function says(text, phrase) {
  const spaced = literal(phrase).replace(/\s+/g, "\\s+");
  return new RegExp(`(?<![\\p{L}\\p{N}_])${spaced}(?![\\p{L}\\p{N}_])`, "iu").test(text.replace(/<[^>]*>/g, " "));
}

const literal = (words) => words.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");

/** The text box, if it can be typed into now: not in a closed fold, nor on a narrow page, where the models lie over it. */
function box(task, field) {
  if (document.getElementById("sl-column")?.inert) return null;
  const area = form.control(task, field)?.querySelector("textarea");
  return area?.checkVisibility() ? area : null;
}
