// A number that stands for none, such as 0 for "the model's own", shows that word in its place until someone is about to type.

import { on } from "./bus.js";
import * as form from "./form.js";
import { store } from "./store.js";

/** Look at the open tab's controls again. */
export function unset() {
  for (const [key, { value, word }] of Object.entries(form.tab(store.tab)?.unset ?? {})) {
    const control = form.control(store.tab, key);
    if (!control) continue;
    if (form.value(store.tab, key) === value) control.dataset.unset = word;
    else delete control.dataset.unset;
  }
}

for (const name of ["values", "models", "tab"]) on(name, unset);
document.addEventListener("input", () => requestAnimationFrame(unset)); // after what was typed is remembered
