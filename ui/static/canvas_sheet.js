/** What lies on the easel: a picture, the layers over it, the frame around it, and the history of all of them. */

import { ColourLayer } from "./canvas_colour.js";
import { NO_FRAME, framedSize, moved, usualOverlap } from "./canvas_frame.js";
import { History } from "./canvas_history.js";
import { Mask } from "./canvas_mask.js";

/**
 * @typedef {import("./canvas_brush.js").Rect} Rect
 * @typedef {import("./canvas_files.js").Picture} Picture
 * @typedef {import("./canvas_frame.js").Frame} Frame
 * @typedef {"picture" | "sketch" | "mask" | "control"} LayerName
 */

/** One picture and everything that is done to it. */
export class Sheet {
  /**
   * @param {Picture} picture
   * @param {LayerName[]} names  the layers to offer
   * @param {(name: LayerName | "frame", rect: Rect | null) => void} onpaint
   * @param {History} [history]  of the sheet in whose place this one comes
   */
  constructor(picture, names, onpaint, history = new History()) {
    const { width, height } = picture;
    this.picture = picture;
    this.width = width;
    this.height = height;
    this.history = history;
    const has = (/** @type {LayerName} */ name) => names.includes(name);
    const colour = (/** @type {LayerName} */ name) => new ColourLayer(width, height, this.history, (rect) => onpaint(name, rect));
    this.mask = has("mask") ? new Mask(width, height, this.history, (rect) => onpaint("mask", rect)) : null;
    this.sketch = has("sketch") ? colour("sketch") : null;
    this.control = has("control") ? colour("control") : null;
    /** @type {Frame} */ this.frame = { ...NO_FRAME };
    this.overlap = usualOverlap(picture);
    this.onframe = () => onpaint("frame", null);
    this.stamp = stamp();
  }

  /**
   * Another picture of the same size under the same layers.
   * @param {Picture} picture
   */
  exchange(picture) {
    this.picture = picture;
    this.stamp = stamp();
  }

  /** The layers that can be painted on. */
  get layers() {
    return { mask: this.mask, sketch: this.sketch, control: this.control };
  }

  /**
   * @param {LayerName} name
   * @returns {Mask | ColourLayer | null}
   */
  layer(name) {
    return name === "picture" ? null : this.layers[name];
  }

  /** @returns {{width: number, height: number}} of the finished picture */
  get framed() {
    return framedSize(this, this.frame);
  }

  /**
   * Moves sides of the frame as far as is allowed; no step of the history until `keepFrame`.
   * @param {Partial<Frame>} sides
   */
  setFrame(sides) {
    for (const [side, value] of Object.entries(sides)) {
      this.frame = moved(this, this.frame, /** @type {import("./canvas_frame.js").Side} */ (side), value);
    }
    this.onframe();
  }

  /**
   * Makes one step of what has happened to the frame since it was as given.
   * @param {Frame} before
   * @returns {boolean} whether it has changed
   */
  keepFrame(before) {
    let other = before;
    if (JSON.stringify(before) === JSON.stringify(this.frame)) return false;
    const swap = () => {
      [this.frame, other] = [other, this.frame];
      this.onframe();
    };
    this.history.keep({ swap, bytes: 64 });
    return true;
  }
}

/** @returns {string} what tells this sheet from every other, also after a reload */
const stamp = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
