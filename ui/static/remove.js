// "Remove what is marked": one click that lets the surroundings grow over the mask, whatever the controls say; they stay as they are.

import { on } from "./bus.js";
import * as canvases from "./canvases.js";
import { go } from "./dock.js";
import { button, el, fill, say } from "./dom.js";
import * as form from "./form.js";
import { canvasShown } from "./source.js";
import { store } from "./store.js";

const STRENGTH = 0.2; // more lets a checkpoint paint a new thing where one was
const TITLE = "Spreads in what is around and smooths it. Prompt and settings of the tab are not used, nor changed";

const removal = (task) => ({
  prompt: "",
  negative_prompt: "",
  masked_content: "fill",
  strength: Math.max(STRENGTH, 1 / (form.value(task, "num_inference_steps") || 1)), // one step at least
  soft_inpainting: false,
  loops: 1,
});

/** The button above a canvas with a mask, there while something is marked or the frame reaches out. */
export function removeButton() {
  const [verb, object] = [el("span"), el("span")];
  const node = button({ label: "", title: TITLE, onclick: () => go(removal(store.tab)) });
  node.classList.add("sl-remove");
  fill(node, verb, object);
  const draw = () => {
    const canvas = canvasShown() && form.tab(store.tab)?.takesMask ? canvases.of(store.tab) : null;
    node.hidden = !canvas?.hasMask();
    if (node.hidden) return;
    const [picture, frame] = [canvas.pictureSize(), canvas.frameSize()];
    const larger = frame.width > picture.width || frame.height > picture.height;
    say(verb, larger ? "Fill" : "Remove");
    say(object, larger ? "from around" : "what is marked");
  };
  for (const name of ["painted", "canvas", "tab", "view"]) on(name, draw);
  draw();
  return node;
}
