/** The row of tools over the stage: what the hand can hold, the way back, the mask, the picture, the view. */

import { Panel, iconButton, make, numberField, press, rove, wordButton } from "./canvas_elements.js";

/** @typedef {import("./canvas_wiring.js").Actions} Actions */

/** @type {Record<string, string>} */
const TOOLS = {
  brush: "Brush (B)",
  eraser: "Eraser (E)",
  lasso: "Lasso (L)",
  rectangle: "Rectangle (R)",
  fill: "Fill (G)",
  eyedropper: "Eyedropper (I)",
  frame: "Frame (F)",
};

/** Builds the tools once and shows a state whenever told. */
export class Toolbar {
  /**
   * @param {Actions} act
   * @param {import("./canvas.js").Options} options
   * @param {AbortSignal} signal
   */
  constructor(act, options, signal) {
    const layers = options.layers ?? [];
    const coloured = layers.includes("sketch") || layers.includes("control");
    const masked = layers.includes("mask");
    this.element = make("div", "sl-painter-tools");
    this.element.setAttribute("aria-label", "Tools");
    this.settle = rove(this.element);
    const unfit = { eyedropper: !coloured, frame: !masked };
    const kinds = Object.keys(TOOLS).filter((kind) => !unfit[/** @type {keyof typeof unfit} */ (kind)]);
    /** @type {Record<string, HTMLButtonElement>} */
    this.tools = Object.fromEntries(kinds.map((kind) => [kind, iconButton(kind, TOOLS[kind], () => act.hold(/** @type {any} */ (kind)))]));
    this.undo = iconButton("undo", "Undo (Ctrl+Z)", act.undo);
    this.redo = iconButton("redo", "Redo (Ctrl+Shift+Z)", act.redo);
    this.invert = iconButton("invert", "Invert mask (Ctrl+I)", act.invert);
    this.clear = iconButton("clear", "Clear mask (Delete)", act.clear);
    this.mask = new MaskPanel(act, signal);
    this.picture = new PicturePanel(act, options, signal);
    this.fit = iconButton("fit", "Fit (0)", act.fit);
    this.actual = iconButton("actual", "Actual size (1)", act.actual);
    this.actual.classList.add("sl-painter-actual");
    this.#group(...Object.values(this.tools));
    this.#group(this.undo, this.redo);
    this.#group(...(masked ? [this.invert] : []), this.clear, ...(masked ? [this.mask.panel.element] : []));
    const last = this.#group(...(options.classes ? [] : [this.picture.panel.element]), this.fit, this.actual, iconButton("help", "Keys (?)", act.help));
    last.classList.add("sl-painter-last");
  }

  /** @param {import("./canvas.js").StudioCanvas} canvas */
  update(canvas) {
    const { tool, stage, active } = canvas;
    const { sheet } = stage;
    for (const [kind, button] of Object.entries(this.tools)) press(button, tool.kind === kind);
    this.undo.disabled = !sheet?.history.done.length;
    this.redo.disabled = !sheet?.history.undone.length;
    const words = `Clear ${active} (Delete)`;
    this.clear.title = words;
    this.clear.setAttribute("aria-label", words);
    this.clear.disabled = !sheet?.layer(active) || /** @type {any} */ (sheet.layer(active)).isEmpty();
    this.mask.update(canvas);
    this.settle();
  }

  /** @param {...HTMLElement} members */
  #group(...members) {
    const group = make("div", "sl-painter-group", ...members);
    this.element.append(group);
    return group;
  }
}

/** What can be done to the mask as a whole, and where a mask can come from. */
class MaskPanel {
  /**
   * @param {Actions} act
   * @param {AbortSignal} signal
   */
  constructor(act, signal) {
    this.distance = numberField("Distance, px", { min: 1, max: 256 }, act.distance);
    this.grow = wordButton("Grow", act.grow, "Everything so near the mask belongs to it");
    this.shrink = wordButton("Shrink", act.shrink, "Everything so near the mask's edge leaves it");
    this.feather = wordButton("Feather", act.feather, "Its edge fades over this distance");
    this.transparency = closing(wordButton("Use transparency as mask", act.transparency));
    this.save = closing(wordButton("Save mask", act.saveMask));
    const button = iconButton("more", "More for the mask", () => {});
    this.panel = new Panel(
      button,
      "Mask",
      [
        make("div", "sl-painter-row", this.distance.element, this.grow, this.shrink, this.feather),
        closing(wordButton("Mask from a colour", act.maskFromColour, "Click a colour: everything like it is masked")),
        this.transparency,
        closing(wordButton("Upload mask", act.uploadMask)),
        this.save,
      ],
      signal,
    );
  }

  /** @param {import("./canvas.js").StudioCanvas} canvas */
  update(canvas) {
    this.distance.input.value = String(canvas.tool.distance);
    const empty = canvas.stage.sheet?.mask?.isEmpty() ?? true;
    for (const button of [this.grow, this.shrink, this.feather]) button.disabled = empty;
    this.save.disabled = !canvas.hasMask();
    this.transparency.hidden = !canvas.isTransparent();
  }
}

/** Where the picture can come from and go to. */
class PicturePanel {
  /**
   * @param {Actions} act
   * @param {import("./canvas.js").Options} options
   * @param {AbortSignal} signal
   */
  constructor(act, options, signal) {
    const button = iconButton("picture", "Picture", () => {});
    const blank = options.blank ? [blankForm(act, options.blank)] : [];
    const content = [
      closing(wordButton("Choose picture", act.picture)),
      closing(wordButton("Copy picture", act.copy, "Ctrl+C; Ctrl+V pastes one")),
      closing(wordButton("Save picture", act.savePicture)),
      ...blank,
    ];
    this.panel = new Panel(button, "Picture", content, signal);
  }
}

/**
 * @param {HTMLButtonElement} button
 */
function closing(button) {
  button.dataset.closes = "";
  return button;
}

/**
 * Size and colour of an empty sheet of paper to sketch on.
 * @param {Actions} act
 * @param {() => {width: number, height: number}} size  the one to begin with
 */
export function blankForm(act, size) {
  const width = numberField("Width", { min: 8, max: 8192, step: 8 }, () => {});
  const height = numberField("Height", { min: 8, max: 8192, step: 8 }, () => {});
  const colour = make("input", "sl-painter-colour");
  Object.assign(colour, { type: "color", value: "#f4ede1" });
  colour.setAttribute("aria-label", "Colour of the empty canvas");
  const fill = () => {
    const { width: w, height: h } = size();
    width.input.value ||= String(w);
    height.input.value ||= String(h);
  };
  const start = closing(
    wordButton("Start from an empty canvas", () => {
      fill();
      act.blank(width.input.valueAsNumber, height.input.valueAsNumber, colour.value);
    }),
  );
  const form = make("div", "sl-painter-blank", make("div", "sl-painter-row", width.element, height.element, colour), start);
  new IntersectionObserver(fill).observe(form);
  return form;
}

