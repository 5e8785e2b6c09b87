// Names that a prompt may hold, offered while one types: LoRAs after "<", wildcards after "__", embeddings by their first letters.

import { api } from "./api.js";
import { on, tell } from "./bus.js";
import { el, fill } from "./dom.js";

const MOST = 8;
const LEAST_LETTERS = 2;
const FRESH = 10_000; // ms for which a list of names is good

let words = { loras: [], embeddings: [], wildcards: [], styles: [] };
let readAt = -Infinity;

export const known = () => words;

/** The names, asked for again after a while or when something was changed. */
export async function refreshWords(now = false) {
  if (!now && performance.now() - readAt < FRESH) return words;
  readAt = performance.now();
  const before = JSON.stringify(words);
  words = await api.words().catch(() => words);
  if (JSON.stringify(words) !== before) tell("words", words);
  return words;
}

const matches = (list, typed) => {
  const wanted = typed.toLowerCase();
  const at = ({ name }) => name.toLowerCase().indexOf(wanted);
  return list.filter((each) => at(each) >= 0).sort((a, b) => at(a) - at(b) || a.name.localeCompare(b.name)).slice(0, MOST);
};

/** What may follow the text before the caret: {start, options: [{label, hint, put}]}, or null. */
export function offers(before, found = words) {
  const network = /<(?:lora:|lyco:)?([^<>:]*)$/.exec(before);
  if (network) {
    const options = matches(found.loras, network[1]).map(({ name, hint, weight }) => ({ label: name, hint, put: `<lora:${name}:${weight ?? 1}>` }));
    return { start: network.index, options };
  }
  const wildcard = /__([^\s_,][^\s,]*)?$/.exec(before);
  if (wildcard && found.wildcards.length && before.split("__").length % 2 === 0) {
    return { start: wildcard.index, options: matches(found.wildcards, wildcard[1] ?? "").map(({ name, hint }) => ({ label: name, hint, put: `__${name}__` })) };
  }
  const word = /[^\s,()[\]{}|:<>]+$/.exec(before);
  if (!word || word[0].length < LEAST_LETTERS) return null;
  const options = found.embeddings.filter(({ name }) => name.toLowerCase().startsWith(word[0].toLowerCase()) && name !== word[0]);
  return { start: word.index, options: options.slice(0, MOST).map(({ name, hint }) => ({ label: name, hint, put: name })) };
}

/** Offer completions in every box for which `isPrompt` holds; `type` puts text into one. */
export function complete(isPrompt, type) {
  const list = el("ul", { class: "sl-complete", id: "sl-complete", role: "listbox", hidden: true, aria: { label: "Names that fit" } });
  document.body.append(list);
  let area = null;
  let offered = null;
  let chosen = 0;

  const close = () => {
    list.hidden = true;
    offered = null;
    area?.removeAttribute("aria-activedescendant");
  };
  const draw = () => {
    fill(list, ...offered.options.map(({ label, hint }, index) => {
      const item = el("li", { role: "option", id: `sl-complete-${index}`, aria: { selected: String(index === chosen) } }, el("span", { text: label }), hint ? el("small", { text: hint }) : null);
      item.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        take(index);
      });
      return item;
    }));
    const { left, bottom, width } = area.getBoundingClientRect();
    Object.assign(list.style, { left: `${left}px`, top: `${Math.min(bottom + 4, innerHeight - 40 * Math.min(offered.options.length, 4))}px`, width: `${width}px` });
    list.hidden = false;
    area.setAttribute("aria-activedescendant", `sl-complete-${chosen}`);
    list.children[chosen]?.scrollIntoView({ block: "nearest" });
  };
  const take = (index) => {
    const { value, selectionEnd } = area;
    const { put } = offered.options[index];
    const caret = offered.start + put.length;
    const next = { text: value.slice(0, offered.start) + put + value.slice(selectionEnd), start: caret, end: caret };
    const into = area;
    close();
    type(into, next);
  };
  const look = async (event) => {
    if (!isPrompt(event.target) || event.inputType === "insertReplacementText") return;
    area = event.target;
    const read = () => area.selectionStart === area.selectionEnd && document.activeElement === area && offers(area.value.slice(0, area.selectionStart));
    await refreshWords();
    const found = read();
    if (!found || !found.options.length) return close();
    offered = found;
    chosen = 0;
    draw();
  };
  document.addEventListener("input", look);
  document.addEventListener("focusout", close);
  document.addEventListener("focusin", ({ target }) => isPrompt(target) && refreshWords());
  addEventListener("resize", close);
  addEventListener("scroll", (event) => !list.contains(event.target) && close(), true);
  document.addEventListener("keydown", (event) => {
    if (!offered || event.target !== area || event.ctrlKey || event.metaKey || event.altKey) return;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) {
      chosen = (chosen + by + offered.options.length) % offered.options.length;
      draw();
    } else if (event.key === "Enter" || event.key === "Tab") take(chosen);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, true); // prettier-ignore
  on("library", () => refreshWords(true)); // something was downloaded or removed
}
