/** Small parts that the canvas's tools are made of: buttons with a name, sliders with a readout, panels that unfold. */

import { icon } from "./canvas_icons.js";

/**
 * @param {string} tag
 * @param {string} name  of the class
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function make(tag, name, ...children) {
  const element = document.createElement(tag);
  element.className = name;
  element.append(...children);
  return element;
}

/**
 * @param {string} image  name of the icon
 * @param {string} label  with its key
 * @param {() => void} action
 * @returns {HTMLButtonElement}
 */
export function iconButton(image, label, action) {
  const button = make("button", "sl-painter-button");
  button.type = "button";
  button.innerHTML = icon(image);
  button.title = label;
  button.setAttribute("aria-label", label);
  button.addEventListener("click", action);
  return button;
}

/**
 * @param {string} text
 * @param {() => void} action
 * @param {string} [title]
 * @returns {HTMLButtonElement}
 */
export function wordButton(text, action, title = "") {
  const button = make("button", "sl-painter-word", text);
  button.type = "button";
  if (title) button.title = title;
  button.addEventListener("click", action);
  return button;
}

/** A slider with what it says beside it. */
export class Slider {
  /**
   * @param {string} label
   * @param {string} title
   * @param {{min: number, max: number, step?: number, read: (value: number) => string}} scale
   * @param {(value: number) => void} action
   */
  constructor(label, title, { min, max, step = 1, read }, action) {
    this.read = read;
    this.range = make("input", "");
    Object.assign(this.range, { type: "range", min: String(min), max: String(max), step: String(step) });
    this.range.setAttribute("aria-label", label);
    this.range.addEventListener("input", () => action(Number(this.range.value)));
    this.readout = make("output", "");
    this.readout.setAttribute("aria-hidden", "true");
    this.element = make("label", "sl-painter-slider", this.range, this.readout);
    this.element.title = title;
    this.caption = make("span", "sl-painter-caption", label.replace("Brush size", "Size"));
    this.element.prepend(this.caption);
  }

  /**
   * @param {number} value
   * @param {number} [max]
   */
  show(value, max = Number(this.range.max)) {
    const { range } = this;
    range.max = String(max);
    range.value = String(value);
    const least = Number(range.min);
    range.style.setProperty("--sl-painter-fill", `${(100 * (value - least)) / Math.max(1e-9, max - least)}%`);
    this.readout.textContent = this.read(value);
    range.setAttribute("aria-valuetext", this.read(value).replace(" px", " pixels"));
  }
}

/**
 * @param {string} label
 * @param {{min?: number, max?: number, step?: number}} limits
 * @param {(value: number) => void} action  when the number is settled
 * @returns {{element: HTMLElement, input: HTMLInputElement}}
 */
export function numberField(label, { min, max, step = 1 }, action) {
  const input = make("input", "sl-painter-number");
  Object.assign(input, { type: "number", step: String(step), inputMode: "numeric" });
  if (min !== undefined) input.min = String(min);
  if (max !== undefined) input.max = String(max);
  input.addEventListener("change", () => action(input.valueAsNumber || 0));
  return { element: make("label", "sl-painter-field", make("span", "", label), input), input };
}

/**
 * @param {HTMLElement} element
 * @param {boolean} pressed
 */
export function press(element, pressed) {
  element.setAttribute("aria-pressed", String(pressed));
}

/** A button that unfolds a panel under itself. */
export class Panel {
  /**
   * @param {HTMLButtonElement} button
   * @param {string} label
   * @param {Node[]} content
   * @param {AbortSignal} signal
   */
  constructor(button, label, content, signal) {
    this.button = button;
    this.body = make("div", "sl-painter-panel", ...content);
    this.body.setAttribute("role", "group");
    this.body.setAttribute("aria-label", label);
    this.element = make("div", "sl-painter-unfold", button, this.body);
    this.toggle(false);
    button.addEventListener("click", () => this.toggle(this.body.hidden));
    this.body.addEventListener("click", (/** @type {Event} */ event) => {
      if (/** @type {Element} */ (event.target).closest("[data-closes]")) this.toggle(false);
    });
    const away = (/** @type {Event} */ event) => !this.element.contains(/** @type {Node} */ (event.target)) && this.toggle(false);
    document.addEventListener("pointerdown", away, { signal, capture: true });
    this.element.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape" || this.body.hidden) return;
      event.stopPropagation();
      event.preventDefault();
      this.toggle(false);
      button.focus();
    });
  }

  /** @param {boolean} open */
  toggle(open) {
    this.body.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (!open) return;
    // It may not stick out of the canvas.
    this.body.style.left = "0";
    const room = /** @type {Element} */ (this.element.closest(".sl-painter")).getBoundingClientRect();
    const box = this.body.getBoundingClientRect();
    this.body.style.left = `${Math.max(room.left - box.left, Math.min(0, room.right - box.right))}px`;
  }
}

/**
 * One stop of the Tab key for a row of buttons; the arrow keys go on from there.
 * @param {HTMLElement} row
 */
export function rove(row) {
  row.setAttribute("role", "toolbar");
  const usable = (/** @type {HTMLButtonElement} */ each) => each.checkVisibility() && !each.disabled && !each.closest(".sl-painter-panel");
  const stops = () => [...row.querySelectorAll("button")].filter(usable);
  row.addEventListener("keydown", (event) => {
    const all = stops();
    const at = all.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    all[(to + all.length) % all.length].focus();
  });
  row.addEventListener("focusin", (event) => {
    for (const each of row.querySelectorAll("button")) {
      if (!each.closest(".sl-painter-panel")) each.tabIndex = each === event.target ? 0 : -1;
    }
  });
  return () => {
    const all = stops();
    if (all.some((each) => each.tabIndex === 0)) return;
    for (const [index, each] of all.entries()) each.tabIndex = index ? -1 : 0;
  };
}
