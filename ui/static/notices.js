// One-sentence messages: beside the field they concern, else above the stage.

import { button, el } from "./dom.js";
import { reveal, tab } from "./form.js";
import { on, tell } from "./bus.js";
import * as canvases from "./canvases.js";
import * as jobs from "./jobs.js";

const BRIEFLY = 12000; // ms that what is not an error stays

const shownArea = el("div", { class: "sl-notices" });
const byKey = new Map();
let count = 0;

export const area = () => shownArea;

/** Show a sentence until it is closed, or replaced by one of the same `key`; what is no error (`kind` "well") leaves by itself,
 * unless it `stays`. `about` names what it concerns; `action` is {label, run}. */
export function show(message, { key = `notice ${(count += 1)}`, kind = "wrong", about = "", action = null, stays = kind === "wrong" } = {}) {
  hide(key);
  const words = el("p", {}, about ? el("span", { class: "sl-about", text: about }) : "", message);
  const note = el("div", { class: `sl-notice sl-${kind}`, role: kind === "wrong" ? "alert" : "status" }, words);
  if (action) note.append(button({ label: action.label, kind: "ghost", onclick: () => (hide(key), action.run()) }));
  note.append(button({ label: "Close this message", icon: "close", quiet: true, onclick: () => hide(key) }));
  byKey.set(key, note);
  shownArea.append(note);
  if (!stays) setTimeout(() => byKey.get(key) === note && hide(key), BRIEFLY);
}

export function hide(key) {
  byKey.get(key)?.remove();
  byKey.delete(key);
}

/** Show what the studio said about a request: at its field in this tab, if it has one; about picture and mask on the canvas. */
export function wrong(task, error) {
  clearFields();
  const place = field(task, error.field);
  if (!place) return show(error.message, { key: error.status === 0 ? "lost" : "request" });
  place.dataset.wrong = "";
  const words = error.message.replace(new RegExp(`^${error.field} `), `${tab(task).titles[error.field] ?? error.field} `);
  if (place.dataset.mount === "source" && canvases.has(task)) return tell("refused", { task, words });
  const same = underThePrompt(task, error);
  if (same) return point(place, same);
  const id = `${task}-${error.field}-wrong`;
  place.append(el("p", { class: "sl-why", id, role: "alert", text: words }));
  const input = place.querySelector("textarea, input, button");
  input?.setAttribute("aria-invalid", "true");
  input?.setAttribute("aria-errormessage", id);
  place.scrollIntoView({ block: "center", behavior: "smooth" });
  if (input?.role !== "combobox") input?.focus({ preventScroll: true }); // a list would open over the words
}

/** What stands under a prompt box already and says the same: up to its first clause, since the box proposes other names. */
function underThePrompt(task, { field: name, message }) {
  const said = document.querySelectorAll(`[data-mount="prompt-tools"][data-tab="${task}"][data-field="${name}"] .sl-prompt-notice`);
  const clause = message.split(/[;.] |[.;]$/)[0].toLowerCase();
  return [...said].find((each) => each.textContent.toLowerCase().startsWith(clause));
}

function point(place, same) {
  same.classList.add("sl-loud");
  place.scrollIntoView({ block: "center", behavior: "smooth" });
  same.click(); // which marks the place in the text
}

function field(task, name) {
  if (name === "lines") return reveal(task, "prompt_syntax") && document.getElementById(`${task}-lines`)?.parentElement;
  if (name === "image" || name === "mask_image") return document.querySelector(`[data-mount="source"][data-tab="${task}"]`);
  return name ? reveal(task, name) : null;
}

export function clearFields() {
  hide("request");
  for (const why of document.querySelectorAll(".sl-why")) why.remove();
  for (const loud of document.querySelectorAll(".sl-loud")) loud.classList.remove("sl-loud");
  for (const place of document.querySelectorAll("[data-wrong]")) {
    delete place.dataset.wrong;
    const input = place.querySelector("[aria-invalid]");
    input?.removeAttribute("aria-invalid");
    input?.removeAttribute("aria-errormessage");
  }
}

// A corrected field no longer needs to be told what was wrong with it.
document.addEventListener("input", (event) => {
  if (event.target.closest?.("[data-wrong]")) clearFields();
});
on("tab", clearFields);
on("failed", (job) => {
  const error = job.error ?? "The studio does not know why.";
  show(error, { key: `job ${job.id}`, about: job.request.prompt, action: { label: "Try again", run: () => retry(job) } });
});

const retry = (job) => jobs.turn(job.id, "retry").catch((error) => show(error.message));

// What a job tells beside its result, once; not what jobs of an earlier visit told.
const told = new Set();
let opening = true;
on("jobs", (list) => {
  for (const job of list) {
    const name = `${job.id} ${job.notice}`;
    if (job.notice && !told.has(name) && !(opening && jobs.ended(job))) show(job.notice, { key: `job ${job.id}`, kind: "well", about: job.request.prompt });
    told.add(name);
  }
  opening = false;
});

const FOLLOWS = "Steps, guidance, size and scheduler are now those that this checkpoint recommends.";
on("chosen", () => show(FOLLOWS, { key: "chosen", kind: "well" }));

on("lost", (message) => show(`${message} This page goes on as soon as it is back.`, { key: "lost" }));
on("found", () => hide("lost"));
