/** The strip of layers under the stage: which one is painted on, which are seen, and how strongly; and the size of it all. */

import { icon } from "./canvas_icons.js";
import { Slider, make, press } from "./canvas_elements.js";

/**
 * @typedef {import("./canvas.js").StudioCanvas} StudioCanvas
 * @typedef {import("./canvas_sheet.js").LayerName} LayerName
 */

/** @type {Record<LayerName, [string, string]>} name and what hiding it means */
const WORDS = {
  picture: ["Picture", "only here: it is sent all the same"],
  sketch: ["Sketch", "a hidden sketch is not sent"],
  mask: ["Mask", "only here: it counts all the same"],
  control: ["Control", "only here: it counts all the same"],
};

/** One chip for each layer, the topmost first. */
export class LayerStrip {
  /**
   * @param {LayerName[]} names
   * @param {import("./canvas_wiring.js").Actions} act
   */
  constructor(names, act) {
    const order = /** @type {LayerName[]} */ (["control", "mask", "sketch", "picture"]).filter((name) => names.includes(name));
    this.chips = order.map((name) => new Chip(name, act));
    this.size = make("span", "sl-painter-measure");
    this.element = make("div", "sl-painter-layers", ...this.chips.map((chip) => chip.element), this.size);
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", "Layers");
  }

  /** @param {StudioCanvas} canvas */
  update(canvas) {
    for (const chip of this.chips) chip.update(canvas);
    this.measure(canvas);
  }

  /** @param {StudioCanvas} canvas */
  measure({ stage: { sheet, view } }) {
    const words = sheet ? `${sheet.framed.width} × ${sheet.framed.height} · ${Math.round((100 * view.scale) / view.ratio)} %` : "";
    if (this.size.textContent !== words) this.size.textContent = words;
  }
}

class Chip {
  /**
   * @param {LayerName} name
   * @param {import("./canvas_wiring.js").Actions} act
   */
  constructor(name, act) {
    this.name = name;
    const [title] = WORDS[name];
    this.eye = make("button", "sl-painter-button sl-painter-eye");
    this.eye.type = "button";
    this.eye.addEventListener("click", () => act.look(name));
    this.pick = make("button", "sl-painter-layer", title);
    this.pick.type = "button";
    this.pick.disabled = name === "picture";
    this.pick.title = name === "picture" ? "" : `Paint on the ${name}`;
    this.pick.addEventListener("click", () => act.layer(name));
    const share = { min: 0, max: 100, read: (/** @type {number} */ value) => `${value} %` };
    this.opacity = new Slider(`Opacity of the ${name}`, `How strongly the ${name} is seen`, share, (value) => act.strength(name, value));
    this.opacity.caption.remove();
    this.element = make("div", "sl-painter-chip", this.eye, this.pick, this.opacity.element);
  }

  /** @param {StudioCanvas} canvas */
  update({ looks, active }) {
    const { shown, opacity } = looks[this.name];
    const words = `${shown ? "Hide" : "Show"} the ${this.name} (${WORDS[this.name][1]})`;
    if (this.eye.title !== words) {
      this.eye.innerHTML = icon(shown ? "eye" : "eyeless");
      this.eye.title = words;
      this.eye.setAttribute("aria-label", words);
    }
    this.opacity.show(Math.round(100 * opacity));
    if (this.name !== "picture") press(this.pick, active === this.name);
    this.element.classList.toggle("sl-painter-active", active === this.name);
    this.element.classList.toggle("sl-painter-hidden", !shown);
  }
}
