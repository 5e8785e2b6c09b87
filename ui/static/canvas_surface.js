/** What can be painted on: strokes, filled regions and whole-layer edits, each one step of the history. */

import { segmentBounds, snap, sweep } from "./canvas_brush.js";

/**
 * @typedef {import("./canvas_brush.js").Brush} Brush
 * @typedef {import("./canvas_brush.js").Plane} Plane
 * @typedef {import("./canvas_brush.js").Point} Point
 * @typedef {import("./canvas_brush.js").Rect} Rect
 * @typedef {import("./canvas_history.js").History} History
 * @typedef {Rect & {data: Uint8Array}} Region  Some pixels of a layer: 0 to 255 for each in the rectangle.
 */

// Soft brushes are laid down this part of their size apart: closer would cost time and not be seen.
const SPACING = 1 / 32;

/** The common part of masks and layers of colour. `paintRow` and `plane` are theirs. */
export class Surface {
  /**
   * @param {number} width
   * @param {number} height
   * @param {History} history
   * @param {(rect: Rect) => void} onpaint  tells which part looks different now
   */
  constructor(width, height, history, onpaint) {
    this.width = width;
    this.height = height;
    this.history = history;
    this.onpaint = onpaint;
    /** Counts changes, so that nobody exports or keeps the same pixels twice. */
    this.revision = 0;
    /** @type {{brush: Brush, at: Point} | null} */ this.stroke = null;
    /** @type {boolean | null} */ this.knownEmpty = true;
  }

  /** @returns {Rect} */
  get everything() {
    return { x: 0, y: 0, width: this.width, height: this.height };
  }

  /** @returns {boolean} whether nothing has been painted */
  isEmpty() {
    this.knownEmpty ??= allZero(this.plane.data);
    return this.knownEmpty;
  }

  /**
   * @param {Point} point  anywhere, also outside the picture
   * @param {Brush} brush
   */
  beginStroke(point, brush) {
    this.history.begin(this);
    this.stroke = { brush, at: snap(point, brush.size) };
    this.#segment(this.stroke.at, this.stroke.at);
  }

  /**
   * @param {Point} point
   * @param {number} size  pressure may have changed it
   */
  continueStroke(point, size) {
    if (!this.stroke) return;
    const { at, brush } = this.stroke;
    const to = snap(point, size);
    if (to.x === at.x && to.y === at.y && size === brush.size) return;
    if (brush.softness > 0 && Math.hypot(to.x - at.x, to.y - at.y) < size * SPACING) return;
    this.stroke = { brush: { ...brush, size }, at: to };
    this.#segment(at, to);
  }

  /** @returns {boolean} whether the stroke changed anything */
  endStroke() {
    if (!this.stroke) return false;
    this.stroke = null;
    return this.commit();
  }

  /** Takes the open stroke back as if it had never begun. */
  cancelStroke() {
    if (!this.stroke) return;
    this.stroke = null;
    this.forget();
    this.history.abandon();
  }

  /**
   * Paints or erases some pixels.
   * @param {Region} region
   * @param {Brush} brush
   * @returns {boolean} whether anything changed
   */
  fillRegion(region, brush) {
    if (!region.width || !region.height) return false;
    this.history.begin(this);
    this.history.touch(region);
    for (let y = 0; y < region.height; y++) {
      const levels = region.data.subarray(y * region.width, (y + 1) * region.width);
      this.paintRow(region.y + y, region.x, region.x + region.width - 1, levels, brush);
    }
    const changed = this.commit();
    if (changed) this.changed(region);
    return changed;
  }

  /**
   * @param {Uint8Array | Uint32Array} values  width * height
   * @returns {boolean} whether anything changed
   */
  replace(values) {
    this.history.begin(this);
    this.history.touch(this.everything);
    this.plane.data.set(values);
    const changed = this.commit();
    if (changed) this.changed(this.everything);
    return changed;
  }

  /** @returns {boolean} whether there was anything to clear */
  clear() {
    if (this.isEmpty()) return false;
    this.history.begin(this);
    this.history.touch(this.everything);
    this.plane.data.fill(0);
    const changed = this.commit();
    this.changed(this.everything);
    return changed;
  }

  /**
   * Takes pixels back that were kept; no step of the history.
   * @param {Uint8Array | Uint32Array} values
   */
  restore(values) {
    this.plane.data.set(values);
    this.changed(this.everything);
  }

  /** @param {Rect} rect */
  changed(rect) {
    this.revision++;
    this.knownEmpty = null;
    this.onpaint(rect);
  }

  commit() {
    this.forget();
    return this.history.commit();
  }

  /** Lets go of what was only needed during a stroke. */
  forget() {}

  /** @returns {Plane} */
  get plane() {
    throw new Error("a surface has pixels of its own kind");
  }

  /**
   * @param {number} _row
   * @param {number} _first
   * @param {number} _last
   * @param {Uint8Array | null} _levels
   * @param {Brush} _brush
   */
  paintRow(_row, _first, _last, _levels, _brush) {
    throw new Error("a surface paints in its own way");
  }

  /**
   * @param {Point} from
   * @param {Point} to
   */
  #segment(from, to) {
    const { brush } = /** @type {{brush: Brush}} */ (this.stroke);
    const bounds = segmentBounds(this, from, to, brush.size);
    if (!bounds) return;
    this.history.touch(bounds);
    sweep(from, to, brush, bounds, (row, first, last, levels) => this.paintRow(row, first, last, levels, brush));
    this.changed(bounds);
  }
}

/**
 * @param {Uint8Array | Uint32Array} data  starts a buffer of whole words; read four bytes at a time, for layers have millions
 */
function allZero(data) {
  const words = data instanceof Uint32Array ? data : new Uint32Array(data.buffer);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  return true;
}
