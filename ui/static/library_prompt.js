// Puts a LoRA, an embedding or a trigger word into the prompt of the open tab, where the caret was.

import * as form from "./form.js";
import * as notices from "./notices.js";
import { type } from "./prompt.js";
import { store } from "./store.js";

const FIELDS = { prompt: "the prompt", negative_prompt: "the negative prompt" };

/** Add `words` at the caret; parted from its neighbours by commas, a `<lora:...>` by a space. What was done, in words. */
export function add(words, field = "prompt") {
  const task = store.tab;
  const area = box(task, field);
  const text = area ? area.value : (form.value(task, field) ?? "");
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
  notices.show(said, { key: "added", kind: "well" }); // it happened out of sight
  return said;
}

/** The text box, if it can be typed into now: not in a closed fold, nor on a narrow page, where the models lie over it. */
function box(task, field) {
  if (document.getElementById("sl-column")?.inert) return null;
  const area = form.control(task, field)?.querySelector("textarea");
  return area?.checkVisibility() ? area : null;
}
