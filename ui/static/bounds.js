// A number beyond its bounds becomes the nearest that is allowed; that is said, or it would look like a mistake of the page.

import { el } from "./dom.js";

const NUMBER = '#sl-column .block input[type="number"][min][max]';

/** Watch the numbers that are typed into the column. */
export function watchBounds() {
  document.addEventListener("input", ({ target }) => target.matches?.(NUMBER) && forget(target.closest(".block")));
  // in the capture phase: before Gradio takes the nearest
  document.addEventListener("change", ({ target }) => target.matches?.(NUMBER) && check(target), true);
}

function check(input) {
  const block = input.closest(".block");
  const [low, high, now] = [input.min, input.max, input.value].map(Number);
  forget(block);
  if (input.value === "" || (low <= now && now <= high)) return;
  const title = block.querySelector('[data-testid="block-info"]')?.textContent.trim() ?? "It";
  const words = `${title}: from ${low} to ${high}, so ${now} became ${Math.min(Math.max(now, low), high)}.`;
  block.append(el("p", { class: "sl-misfit sl-beyond", role: "status", text: words }));
}

function forget(block) {
  block.querySelector(":scope > .sl-beyond")?.remove();
}
