/** The colour in hand and those used lately. */

import { make, press } from "./canvas_elements.js";

const CONTROL_COLOURS = ["#ffffff", "#000000"];

/** A row of swatches. */
export class Palette {
  /** @param {{colour: (hex: string) => void}} act */
  constructor(act) {
    this.act = act;
    this.input = make("input", "sl-painter-colour");
    this.input.type = "color";
    this.input.setAttribute("aria-label", "Colour");
    this.input.title = "Colour (Alt and a click takes one from the picture)";
    this.input.addEventListener("input", () => act.colour(this.input.value));
    this.swatches = make("div", "sl-painter-swatches");
    this.swatches.setAttribute("role", "group");
    this.swatches.setAttribute("aria-label", "Colours used lately");
    this.element = make("div", "sl-painter-palette", this.input, this.swatches);
    this.shown = "";
  }

  /**
   * @param {import("./canvas_tool.js").Tool} tool
   * @param {string} active
   */
  update(tool, active) {
    this.input.value = tool.colour;
    const control = active === "control";
    const recent = tool.recent.filter((colour) => !control || !CONTROL_COLOURS.includes(colour));
    const colours = (control ? [...CONTROL_COLOURS, ...recent] : recent).slice(0, 8);
    if (this.shown !== colours.join()) {
      this.shown = colours.join();
      this.swatches.replaceChildren(...colours.map((colour) => this.#swatch(colour)));
    }
    for (const swatch of this.swatches.children) press(swatch, swatch.dataset.colour === tool.colour);
  }

  /** @param {string} colour */
  #swatch(colour) {
    const button = make("button", "sl-painter-swatch");
    button.type = "button";
    button.dataset.colour = colour;
    button.style.setProperty("--sl-painter-swatch", colour);
    button.title = colour;
    button.setAttribute("aria-label", `Colour ${colour}`);
    button.addEventListener("click", () => this.act.colour(colour));
    return button;
  }
}
