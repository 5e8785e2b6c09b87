// Before and after: the picture that a result started from lies over it, and a slider uncovers as much of it as wanted.

import { uploadUrl } from "./api.js";
import { tell } from "./bus.js";
import { button, el } from "./dom.js";
import * as jobs from "./jobs.js";

let comparing = ""; // the picture on which the slider was asked for

/** The upload that a picture was made from; null for one made from words alone. */
const before = (made) => jobs.find(made.job)?.request.image ?? null;

/** Whether a slider is shown on this picture now. */
export const compared = (made) => comparing === made.id && before(made) !== null;

/** The button that shows the slider and hides it again; nothing where there is no picture to compare with. */
export function compareButton(made) {
  if (before(made) === null) return null;
  const turn = () => {
    comparing = comparing === made.id ? "" : made.id;
    node.setAttribute("aria-pressed", String(compared(made)));
    tell("view");
  };
  const node = button({ label: "Compare", icon: "compare", kind: "ghost", onclick: turn });
  node.setAttribute("aria-pressed", String(compared(made)));
  return node;
}

/** The result `image` with the picture it was made from to the left of the line. */
export function slider(made, image) {
  const source = el("img", { class: "sl-before", src: uploadUrl(before(made)), alt: "The picture that it was made from" });
  const line = el("div", { class: "sl-divider" });
  const label = "How much of the picture before is shown";
  const range = el("input", { type: "range", min: "0", max: "100", step: "0.5", value: "50", aria: { label } });
  const whole = el("div", { class: "sl-compare" }, image, source, line, range);
  const cut = () => whole.style.setProperty("--cut", `${range.value}%`);
  range.addEventListener("input", cut);
  source.addEventListener("error", () => whole.replaceWith(image)); // the upload may be gone
  cut();
  return whole;
}
