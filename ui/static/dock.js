// Generate, which turns into Cancel in the same place while something develops; "Queue another" then stands beside it.

import { on, tell } from "./bus.js";
import { api } from "./api.js";
import { LACKING, lacking } from "./clip.js";
import { together } from "./contact.js";
import * as control from "./control.js";
import { button, el, fill } from "./dom.js";
import { draft } from "./form.js";
import * as jobs from "./jobs.js";
import * as library from "./library_door.js";
import { batch } from "./many.js";
import * as notices from "./notices.js";
import * as source from "./source.js";
import { keep, store } from "./store.js";
import * as view from "./view.js";

const STILL = 600; // ms after Generate in which a click is a double click, not a Cancel

const MAC = /Mac|iP(hone|ad)/.test(navigator.platform);
const parts = {};
let asked = 0;
let sending = 0;

export function dock(place) {
  parts.go = button({ label: "Generate", kind: "go", onclick: () => go() });
  parts.go.append(el("kbd", { text: MAC ? "⌘ ↵" : "Ctrl ↵", aria: { hidden: "true" } }));
  parts.stop = button({ label: "Cancel", kind: "stop", onclick: () => performance.now() - asked > STILL && cancel() });
  parts.stop.append(el("kbd", { text: "Esc", aria: { hidden: "true" } }));
  parts.more = button({ label: "Queue another", icon: "plus", kind: "plain", title: "Ctrl+Enter does the same", onclick: () => go() });
  fill(place, parts.go, parts.stop, parts.more);
  on("jobs", draw);
  draw();
}

function draw() {
  const busy = jobs.active().length > 0;
  const focused = [parts.go, parts.stop].includes(document.activeElement);
  parts.go.hidden = busy;
  parts.stop.hidden = parts.more.hidden = !busy;
  if (focused) (busy ? parts.stop : parts.go).focus();
}

/** Send the open tab's request. What it makes is shown as it develops; if something develops already, it waits its turn.
 * Values that are `given` count more than those of the controls. */
export async function go(given = {}) {
  const task = store.tab;
  asked = performance.now();
  notices.clearFields();
  if (lacking(task)) return notices.show(LACKING, { key: "request", action: { label: "Open the models", run: library.toggle } });
  sending += 1;
  document.body.toggleAttribute("data-sending", true);
  try {
    const request = { ...(await draft(task)), ...(await source.inputs(task)), ...given };
    Object.assign(request.modifiers, control.modifiers(task));
    const alone = jobs.active().length === 0;
    const wanted = batch(task, request);
    const made = wanted ? (await api.batch({ request, ...wanted })).jobs : [await api.submit(request)];
    const [job] = made;
    store.lastSeed = job.request.seed;
    keep();
    if (made.length > 1) together(made);
    made.forEach(jobs.note);
    source.showCanvas(false);
    if (alone) view.live(job.id);
    else view.live();
    tell("submitted", job);
    toStage();
  } catch (error) {
    notices.wrong(task, error);
  } finally {
    sending -= 1;
    document.body.toggleAttribute("data-sending", sending > 0);
  }
}

/** On a phone the stage may have been scrolled away. */
function toStage() {
  if (matchMedia("(max-width: 999px)").matches) scrollTo({ top: 0, behavior: "smooth" });
}

/** Cancel what is on the stage, else what develops, else what waits longest. */
export async function cancel() {
  const job = view.job() ?? jobs.developing()[0] ?? jobs.active()[0];
  if (!job) return;
  await jobs.cancel(job.id).catch((error) => notices.show(error.message));
}
