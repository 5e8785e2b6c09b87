// Folds of the column: opened and closed by their heads, and kept as they were left.

import { keep, store } from "./store.js";

/** The button that opens and closes a fold; null where a tab has no such fold or is not drawn yet. */
export const foldHead = (task, name) => document.querySelector(`#${task}-fold-${name} .sl-fold-head`);

/** Open a fold, or with `open` false close it. */
export function unfold(task, name, open = true) {
  foldHead(task, name)?.setAttribute("aria-expanded", open);
  store.folds[task] = { ...store.folds[task], [name]: open };
  keep();
}

/** Heads that were drawn since show what was left open. */
export function restoreFolds() {
  for (const head of document.querySelectorAll(".sl-fold-head")) {
    head.setAttribute("aria-expanded", Boolean(store.folds[head.dataset.tab]?.[head.dataset.fold]));
  }
}

export function watchFolds() {
  document.addEventListener("click", ({ target }) => {
    const head = target.closest?.(".sl-fold-head");
    if (head) unfold(head.dataset.tab, head.dataset.fold, head.getAttribute("aria-expanded") !== "true");
  });
}
