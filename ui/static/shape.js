// Named shapes around the checkpoint's native size.

import { on } from "./bus.js";
import { button, el, fill } from "./dom.js";
import * as form from "./form.js";
import { checkpoint } from "./models.js";

const STEP = 8;
const LEAST = 64;
const round = (side) => Math.max(LEAST, Math.round(side / STEP) * STEP);

/** Square, portrait and landscape with about as many pixels as the model was trained on; 2:3, or the model's own oblong. */
function shapes(task) {
  const [width, height] = checkpoint(form.value(task, "checkpoint"))?.native_size ?? [512, 512];
  const side = Math.sqrt(width * height);
  const oblong = width === height ? 1.5 : Math.max(width / height, height / width);
  const short = round(side / Math.sqrt(oblong));
  const long = round(short * oblong);
  return [
    { label: "Square", width: round(side), height: round(side) },
    { label: "Portrait", width: short, height: long },
    { label: "Landscape", width: long, height: short },
  ];
}

export function shape(place) {
  const task = place.dataset.tab;
  const group = el("div", { class: "sl-shapes", role: "group", aria: { label: "Shape" } });
  let choices = [];
  const build = () => {
    choices = shapes(task).map((each) => ({ ...each, node: choice(task, each) }));
    fill(group, ...choices.map((each) => each.node), swap(task));
    mark();
  };
  const mark = () => {
    for (const { node, width, height } of choices) {
      node.setAttribute("aria-pressed", String(form.value(task, "width") === width && form.value(task, "height") === height));
    }
  };
  let native = "";
  on("values", (changed) => {
    if (changed !== task) return;
    const now = String(checkpoint(form.value(task, "checkpoint"))?.native_size);
    if (now === native) return mark();
    native = now;
    build();
  });
  on("models", build);
  fill(place, group);
  build();
}

function choice(task, { label, width, height }) {
  const glyph = el("span", { class: "sl-shape-glyph" });
  glyph.style.aspectRatio = `${width} / ${height}`;
  glyph.style[width >= height ? "width" : "height"] = "14px";
  const set = () => form.fill(task, { width, height });
  return el("button", { type: "button", title: `${width} × ${height}`, on: { click: set } }, glyph, el("span", { text: label }));
}

function swap(task) {
  const turn = () => form.fill(task, { width: form.value(task, "height"), height: form.value(task, "width") });
  return button({ label: "Swap width and height", icon: "swap", quiet: true, onclick: turn });
}
