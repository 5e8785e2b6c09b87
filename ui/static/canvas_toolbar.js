/** The row of tools over the stage: labelled buttons, the brush size, and what the current picture makes possible. */

import { icon } from "./canvas_icons.js";

/**
 * @typedef {object} ToolActions
 * @property {() => void} brush
 * @property {() => void} eraser
 * @property {(size: number) => void} size
 * @property {() => void} undo
 * @property {() => void} redo
 * @property {() => void} invert
 * @property {() => void} clear
 * @property {() => void} uploadMask
 * @property {() => void} transparency
 * @property {() => void} pressure
 * @property {() => void} picture
 * @property {() => void} fit
 */

/**
 * @typedef {object} ToolState
 * @property {boolean} picture
 * @property {import("./canvas_tool.js").Tool} tool
 * @property {boolean} canUndo
 * @property {boolean} canRedo
 * @property {boolean} masked
 * @property {boolean} transparent
 */

/** Builds the tools once and shows a state whenever told. */
export class Toolbar {
  /** @param {ToolActions} act */
  constructor(act) {
    this.element = document.createElement("div");
    this.element.className = "sl-painter-tools";
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", "Mask tools");
    /** @type {Record<string, HTMLButtonElement>} */ this.buttons = {};
    this.range = document.createElement("input");
    this.readout = document.createElement("output");
    this.#group([
      this.#button("brush", "Brush (B)", act.brush),
      this.#button("eraser", "Eraser (E)", act.eraser),
      this.#button("pressure", "Pen pressure changes the size", act.pressure),
    ]);
    this.element.append(this.#slider(act.size));
    this.#group([this.#button("undo", "Undo (Ctrl+Z)", act.undo), this.#button("redo", "Redo (Ctrl+Shift+Z)", act.redo)]);
    this.#group([
      this.#button("invert", "Invert mask (I)", act.invert),
      this.#button("clear", "Clear mask (Delete)", act.clear),
      this.#button("upload", "Upload mask", act.uploadMask),
      this.#button("transparency", "Use transparency as mask", act.transparency),
    ]);
    const last = this.#group([this.#button("picture", "Choose picture", act.picture), this.#button("fit", "Fit (0)", act.fit)]);
    last.classList.add("sl-painter-last");
  }

  /** @param {ToolState} state */
  update(state) {
    const { buttons } = this;
    for (const button of Object.values(buttons)) button.disabled = !state.picture;
    buttons.picture.disabled = false;
    buttons.brush.setAttribute("aria-pressed", String(!state.tool.erasing));
    buttons.eraser.setAttribute("aria-pressed", String(state.tool.erasing));
    buttons.pressure.setAttribute("aria-pressed", String(state.tool.pressure));
    buttons.pressure.hidden = !state.tool.pen;
    buttons.transparency.hidden = !state.transparent;
    buttons.undo.disabled = !state.canUndo;
    buttons.redo.disabled = !state.canRedo;
    buttons.clear.disabled = !state.masked;
    this.range.disabled = !state.picture;
    this.range.max = String(state.tool.largest);
    this.range.value = String(state.tool.size);
    this.range.style.setProperty("--sl-painter-fill", `${(100 * (state.tool.size - 1)) / (state.tool.largest - 1)}%`);
    this.range.setAttribute("aria-valuetext", `${state.tool.size} pixels`);
    this.readout.textContent = `${state.tool.size} px`;
  }

  /** @param {HTMLElement[]} members */
  #group(members) {
    const group = document.createElement("div");
    group.className = "sl-painter-group";
    group.append(...members);
    this.element.append(group);
    return group;
  }

  /**
   * @param {string} name  of the icon
   * @param {string} label  with its key
   * @param {() => void} action
   */
  #button(name, label, action) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sl-painter-button";
    button.innerHTML = icon(name);
    button.title = label;
    button.setAttribute("aria-label", label);
    button.addEventListener("click", action);
    this.buttons[name] = button;
    return button;
  }

  /** @param {(size: number) => void} action */
  #slider(action) {
    const label = document.createElement("label");
    label.className = "sl-painter-size";
    label.title = "Brush size ([ and ])";
    this.range.type = "range";
    this.range.min = "1";
    this.range.step = "1";
    this.range.setAttribute("aria-label", "Brush size");
    this.range.addEventListener("input", () => action(Number(this.range.value)));
    this.readout.setAttribute("aria-hidden", "true");
    label.append(this.range, this.readout);
    return label;
  }
}
