/** The card that tells the canvas's keys. */

import { make } from "./canvas_elements.js";

const MAC = /Mac|iP(hone|ad)/.test(navigator.platform);
const COMMAND = MAC ? "⌘" : "Ctrl";

/** @type {[string, [string, string][]][]} */
const KEYS = [
  [
    "Tools",
    [
      ["B · E", "Brush, eraser"],
      ["L · R", "Lasso, rectangle; with Alt they take away"],
      ["G", "Fill what looks alike, or a hole in the mask"],
      ["I", "Eyedropper; Alt and a click with the brush"],
      ["F", "Frame: drag its sides beyond the picture"],
      ["[ · ]", "Smaller, larger brush"],
      ["{ · }", "Softer, harder brush"],
    ],
  ],
  [
    "Edits",
    [
      [`${COMMAND} Z`, "Undo; with Shift redo"],
      [`${COMMAND} I`, "Invert the mask"],
      ["Delete", "Clear the layer"],
      ["Esc", "Take the stroke back"],
      [`${COMMAND} C · ${COMMAND} V`, "Copy the picture, paste one"],
    ],
  ],
  [
    "View",
    [
      ["Wheel · + −", "Zoom; two fingers too"],
      ["Space", "Hold and drag to move; the middle button too"],
      ["0 · 1", "Fit, actual size"],
      ["Arrows", "Move the brush; Enter paints, Shift draws a line"],
    ],
  ],
];

/** @returns {HTMLDialogElement} */
export function helpCard() {
  const close = make("button", "sl-painter-word", "Close");
  close.type = "button";
  const columns = KEYS.map(([title, rows]) => {
    const list = make("dl", "", ...rows.flatMap(([key, words]) => [make("dt", "", key), make("dd", "", words)]));
    return make("section", "", make("h3", "", title), list);
  });
  const card = make("dialog", "sl-painter-help", make("h2", "", "Keys of the canvas"), make("div", "sl-painter-keys", ...columns), close);
  card.setAttribute("aria-label", "Keys of the canvas");
  close.addEventListener("click", () => card.close());
  card.addEventListener("click", (/** @type {Event} */ event) => event.target === card && card.close());
  // What is pressed here is meant for the card: Escape closes it and nothing else.
  card.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.stopPropagation());
  return card;
}
