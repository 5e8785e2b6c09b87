// What is set inside a fold stands beside its title, so that nobody has to open it to know.

import { on } from "./bus.js";
import { el, say } from "./dom.js";
import * as form from "./form.js";
import { titleOf } from "./models.js";
import { store } from "./store.js";
import { foldHead } from "./unfold.js";

const MOST = 3; // things named beside a title; the rest is counted
const ALWAYS = ["scheduler", "schedule"]; // told also where they are as they were at first

/** What stands in a control, in a word or two; "" where it changes nothing. */
function told(task, key, idle) {
  const { titles, defaults, texts } = form.tab(task);
  const now = form.value(task, key);
  const [head, modifier, parameter] = key.split(".");
  if (head === "modifiers") return parameter === undefined && now && !(key in idle) ? titles[`modifiers.${modifier}`] : "";
  if (key in idle || key === "checkpoint" || now === null || now === undefined || now === "") return "";
  if (now === defaults[key] && !ALWAYS.includes(key)) return "";
  if (now === "automatic") return now === defaults[key] || ALWAYS.includes(key) ? "" : titles[key];
  if (now === true || texts.includes(key)) return titles[key];
  if (now === false) return `no ${titles[key].toLowerCase()}`;
  return typeof now === "number" ? `${titles[key]} ${now}` : titleOf(key, now);
}

function fold(task, place, keys) {
  const idle = form.idle(task);
  const said = keys.map((key) => told(task, key, idle)).filter(Boolean);
  const alone = keys.length === 1 && said.length === 1; // the title has said it
  tell(task, place, alone ? ["on"] : said);
}

/** Write what is set beside the title of a fold. */
export function tell(task, place, said) {
  const head = foldHead(task, place)?.firstElementChild;
  if (!head) return;
  const words = said.length > MOST + 1 ? [...said.slice(0, MOST), `${said.length - MOST} more`] : said;
  let beside = head.querySelector(".sl-fold-said");
  if (!beside) head.append((beside = el("span", { class: "sl-fold-said" })));
  say(beside, words.length ? ` · ${words.join(", ")}` : "");
}

/** Write beside the titles of the open tab's folds what is set in them. */
export function titles() {
  const groups = {};
  for (const [key, place] of Object.entries(form.tab(store.tab)?.places ?? {})) (groups[place] ??= []).push(key);
  for (const [place, keys] of Object.entries(groups)) fold(store.tab, place, keys);
}

for (const name of ["values", "models", "tab"]) on(name, () => titles());
