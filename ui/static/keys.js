// Ctrl+Enter (or Cmd+Enter) generates, Esc cancels, Alt+M shows the models, arrows on the stage leaf through the pictures.

import { cancel, go } from "./dock.js";
import * as library from "./library_door.js";
import * as view from "./view.js";

/** Whether a card lies over the page: keys are meant for it. */
const covered = () => Boolean(document.querySelector("dialog:modal"));

export function watchKeys() {
  let listOpen = false; // before the list itself hears the key and closes
  addEventListener("keydown", (event) => {
    listOpen = Boolean(event.target.closest?.('[role="combobox"][aria-expanded="true"]'));
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || covered()) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) go();
  }, true); // prettier-ignore
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") escape(event, listOpen);
    else if (undoes(event) && !event.target.matches?.("input, textarea")) event.preventDefault(); // or Chromium undoes in a field far away
    else if (event.code === "KeyM" && event.altKey && !event.ctrlKey && !event.metaKey && !covered()) models(event);
    else if (event.target.matches?.(".sl-easel, .sl-film button")) leaf(event);
  });
}

const undoes = ({ key, ctrlKey, metaKey }) => (ctrlKey || metaKey) && ["z", "y"].includes(key.toLowerCase());

/** Esc closes what is open first: a card, a list of choices, a stroke, the models. Only then does it cancel. */
function escape(event, listOpen) {
  if (event.repeat || event.defaultPrevented || covered() || listOpen) return;
  if (library.isOpen()) library.close();
  else cancel();
}

function models(event) {
  event.preventDefault();
  if (!event.repeat) library.toggle();
}

function leaf(event) {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by) return;
  event.preventDefault();
  view.step(by);
}
