// The page's script: fills the places that the page leaves for it, and starts watching the studio.

import "./canvas.js";
import { advice } from "./advice.js";
import { bar } from "./bar.js";
import { watchBounds } from "./bounds.js";
import { control } from "./control.js";
import { on, tell } from "./bus.js";
import { dock } from "./dock.js";
import { mount, watchMounts } from "./dom.js";
import { watchDrops } from "./drop.js";
import { fits } from "./fits.js";
import { titles } from "./folds.js";
import * as form from "./form.js";
import * as jobs from "./jobs.js";
import { watchKeys } from "./keys.js";
import { batch } from "./batch.js";
import { many } from "./many.js";
import { refreshModels } from "./models.js";
import { promptTools, watchPrompts } from "./prompt.js";
import { seedTools } from "./seed.js";
import { shape } from "./shape.js";
import * as source from "./source.js";
import { stage } from "./stage.js";
import { keep, store } from "./store.js";
import { restoreFolds, watchFolds } from "./unfold.js";
import { unset } from "./unset.js";
import * as view from "./view.js";

window.safelight ??= {};

function start() {
  const place = document.querySelector("[data-mount=fields]");
  if (!place || !document.getElementById("sl-tabs")) return setTimeout(start, 20);
  form.describe(place);
  on("restored", () => {
    document.documentElement.dataset.safelight = "ready";
  });
  window.safelight.form = form.bridge;
  mount("bar", bar);
  mount("dock", dock);
  mount("stage", stage);
  mount("source", source.zone);
  mount("prompt-tools", promptTools);
  mount("many", many);
  mount("batch", batch);
  mount("control", control);
  mount("shapes", shape);
  mount("seed-tools", seedTools);
  watchMounts(tidy);
  watchTabs();
  watchFolds();
  form.watchTyping();
  watchBounds();
  watchDrops();
  watchPrompts();
  watchKeys();
  watchModels();
  source.checkPictures();
  view.refreshImages().catch(() => {});
  jobs.watch();
}

/** Controls are drawn late and anew: write again what stands beside them, and link each help sentence to its control, for those
 * who hear the page. */
function tidy() {
  restoreFolds();
  titles();
  fits();
  advice();
  unset();
  for (const help of document.querySelectorAll("#sl-column .info-text:not([id])")) {
    const block = help.closest(".block");
    help.id = `${block.id}-help`;
    for (const input of block.querySelectorAll("input, textarea")) input.setAttribute("aria-describedby", help.id);
  }
}

function watchTabs() {
  const opened = () => {
    const task = document.querySelector("#sl-tabs [role=tab][aria-selected=true]")?.dataset.tabId;
    if (!task || task === store.tab) return;
    store.tab = task;
    keep();
    document.body.dataset.tab = task;
    tell("tab", task);
    tell("canvas");
  };
  const list = document.querySelector("#sl-tabs");
  new MutationObserver(opened).observe(list, { attributes: true, attributeFilter: ["aria-selected"], subtree: true });
  document.body.dataset.tab = store.tab;
}

/** Models may come and go while the page is open: look again when someone is about to choose. */
function watchModels() {
  document.addEventListener("focusin", (event) => {
    if (event.target.closest?.('[id$="-checkpoint"], [id$="-vae"]')) refreshModels().catch(() => {});
  });
}

start();
