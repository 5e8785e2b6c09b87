/** The row of settings that the tool in hand has: size, hardness, opacity, tolerance, colours, the sides of the frame. */

import { Slider, iconButton, make, numberField, press, wordButton } from "./canvas_elements.js";
import { SIDES } from "./canvas_frame.js";
import { Palette } from "./canvas_palette.js";
import { REGIONS } from "./canvas_tool.js";

/**
 * @typedef {import("./canvas.js").StudioCanvas} StudioCanvas
 * @typedef {import("./canvas_wiring.js").Actions} Actions
 */

const percent = (/** @type {number} */ value) => `${value} %`;

/** Builds all settings once and shows those that count. */
export class ToolOptions {
  /** @param {Actions} act */
  constructor(act) {
    this.element = make("div", "sl-painter-options");
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", "Settings of the tool");
    const pixels = { min: 1, max: 100, read: (/** @type {number} */ value) => `${value} px` };
    const share = { min: 0, max: 100, read: percent };
    this.size = new Slider("Brush size", "Brush size ([ and ])", pixels, act.size);
    this.hardness = new Slider("Hardness", "How sharp the edge is ({ and })", share, act.hardness);
    this.opacity = new Slider("Opacity", "How much the colour covers", { ...share, min: 1 }, act.opacity);
    const levels = { min: 0, max: 128, read: String };
    this.tolerance = new Slider("Tolerance", "How unlike a colour may be and still be filled", levels, act.tolerance);
    this.everywhere = wordButton("Everywhere", act.everywhere, "All alike pixels of the picture, not only those that touch");
    this.subtract = wordButton("Take away", act.subtract, "Erases what is enclosed (or hold Alt)");
    this.pressure = iconButton("pressure", "Pen pressure changes the size", act.pressure);
    this.palette = new Palette(act);
    this.frame = new FrameFields(act);
    this.fold = iconButton("sliders", "More settings", () => {
      const open = /** @type {Element} */ (this.element.closest(".sl-painter")).classList.toggle("sl-painter-unfolded");
      this.fold.setAttribute("aria-expanded", String(open));
    });
    this.fold.classList.add("sl-painter-fold");
    this.fold.setAttribute("aria-expanded", "false");
    for (const each of [this.hardness.element, this.opacity.element]) each.classList.add("sl-painter-seldom");
    for (const each of [this.everywhere, this.subtract]) each.classList.add("sl-painter-switch");
    this.element.append(
      this.palette.element,
      this.size.element,
      this.hardness.element,
      this.opacity.element,
      this.tolerance.element,
      this.everywhere,
      this.subtract,
      this.pressure,
      this.fold,
      this.frame.element,
    );
  }

  /** @param {StudioCanvas} canvas */
  update(canvas) {
    const { tool } = canvas;
    const coloured = canvas.coloured();
    const region = REGIONS.includes(tool.kind);
    this.size.show(tool.size, tool.largest);
    this.hardness.show(Math.round(100 * (1 - tool.softness)));
    this.opacity.show(Math.round(100 * tool.opacity));
    this.tolerance.show(tool.tolerance);
    press(this.everywhere, tool.everywhere);
    press(this.subtract, tool.subtract);
    press(this.pressure, tool.pressure);
    this.size.element.hidden = !tool.strokes;
    this.hardness.element.hidden = tool.exact || !tool.strokes;
    this.opacity.element.hidden = tool.exact || !coloured || !(tool.strokes || region);
    this.everywhere.hidden = tool.kind !== "fill";
    this.tolerance.element.hidden = tool.exact || tool.kind !== "fill";
    this.subtract.hidden = !region;
    this.pressure.hidden = !tool.pen || !tool.strokes;
    this.palette.element.hidden = tool.exact || !coloured || tool.kind === "frame" || tool.kind === "eraser";
    this.palette.update(tool, canvas.active);
    this.fold.hidden = tool.kind === "frame";
    this.frame.element.hidden = tool.kind !== "frame";
    this.frame.update(canvas);
  }
}

/** The frame in numbers: one field for each side, and how far into the picture the new part reaches. */
class FrameFields {
  /** @param {Actions} act */
  constructor(act) {
    this.fields = Object.fromEntries(
      SIDES.map((side) => [side, numberField(side[0].toUpperCase() + side.slice(1), { step: 8 }, (value) => act.side(side, value))]),
    );
    this.overlap = numberField("Overlap", { min: 0, max: 512 }, act.overlap);
    this.overlap.element.title = "So many pixels of the picture along a new side are made anew with it";
    this.reset = wordButton("Reset", act.resetFrame, "As large as the picture again");
    const fields = [...Object.values(this.fields), this.overlap].map((field) => field.element);
    this.element = make("div", "sl-painter-row", ...fields, this.reset);
  }

  /** @param {StudioCanvas} canvas */
  update({ stage: { sheet } }) {
    if (!sheet) return;
    for (const side of SIDES) this.fields[side].input.value = String(sheet.frame[side]);
    this.overlap.input.value = String(sheet.overlap);
    this.reset.disabled = SIDES.every((side) => sheet.frame[side] === 0);
  }
}
