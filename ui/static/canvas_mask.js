/** The mask of one picture: bytes at full picture resolution (255 = repaint, 0 = keep), strokes, whole-mask edits, undo. */

import { paintSegment, segmentBounds, snap } from "./canvas_brush.js";
import { History, invertBytes } from "./canvas_history.js";

/**
 * @typedef {import("./canvas_brush.js").Brush} Brush
 * @typedef {import("./canvas_brush.js").Plane} Plane
 * @typedef {import("./canvas_brush.js").Point} Point
 * @typedef {import("./canvas_brush.js").Rect} Rect
 */

const SMALLEST_LEVEL = 512;

/** Bytes and their history. `onpaint(rect)` tells which part looks different now. */
export class Mask {
  /**
   * @param {number} width
   * @param {number} height
   * @param {(rect: Rect) => void} onpaint
   */
  constructor(width, height, onpaint) {
    this.width = width;
    this.height = height;
    this.onpaint = onpaint;
    /**
     * Level 0 is the mask; each next level is half as large and white where anything beneath is, so no thin stroke vanishes from sight.
     * @type {Plane[]}
     */
    this.levels = [plane(width, height)];
    for (let last = this.levels[0]; Math.max(last.width, last.height) > SMALLEST_LEVEL; last = this.levels[this.levels.length - 1]) {
      this.levels.push(plane(Math.ceil(last.width / 2), Math.ceil(last.height / 2)));
    }
    this.history = new History(this.levels[0]);
    /** @type {{brush: Brush, at: Point} | null} */ this.stroke = null;
    /** @type {boolean | null} */ this.knownEmpty = true;
  }

  get data() {
    return this.levels[0].data;
  }

  /** @returns {boolean} whether nothing is to be repainted */
  isEmpty() {
    this.knownEmpty ??= allZero(this.data);
    return this.knownEmpty;
  }

  /**
   * Looked up in the smallest level, so it is quick and may be a little too large.
   * @returns {Rect | null} a part that holds all that is to be repainted; null when there is nothing
   */
  bounds() {
    const small = this.levels[this.levels.length - 1];
    const step = 2 ** (this.levels.length - 1);
    let [left, top, right, bottom] = [small.width, small.height, 0, 0];
    for (let y = 0; y < small.height; y++) {
      const row = small.data.subarray(y * small.width, (y + 1) * small.width);
      const first = row.findIndex((value) => value > 0);
      if (first < 0) continue;
      left = Math.min(left, first);
      right = Math.max(right, row.findLastIndex((value) => value > 0) + 1);
      top = Math.min(top, y);
      bottom = y + 1;
    }
    return bottom > top ? { x: left * step, y: top * step, width: (right - left) * step, height: (bottom - top) * step } : null;
  }

  /**
   * @param {Point} point  anywhere, also outside the picture
   * @param {Brush} brush
   */
  beginStroke(point, brush) {
    this.history.begin();
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
    this.stroke = { brush: { ...brush, size }, at: to };
    this.#segment(at, to);
  }

  /** @returns {boolean} whether the stroke changed anything */
  endStroke() {
    if (!this.stroke) return false;
    this.stroke = null;
    return this.history.commit();
  }

  /** Takes the open stroke back as if it had never begun. */
  cancelStroke() {
    this.stroke = null;
    this.#show(this.history.abandon());
  }

  invert() {
    invertBytes(this.data);
    this.history.commitInversion();
    this.#show(this.#everything());
  }

  /** @returns {boolean} whether there was anything to clear */
  clear() {
    return this.replace(new Uint8Array(this.width * this.height));
  }

  /**
   * @param {Uint8Array} bytes  width * height values
   * @returns {boolean} whether anything changed
   */
  replace(bytes) {
    this.history.begin();
    this.history.touch(this.#everything());
    this.data.set(bytes);
    const changed = this.history.commit();
    if (changed) this.#show(this.#everything());
    return changed;
  }

  /** @returns {boolean} whether there was anything to undo */
  undo() {
    return this.#show(this.history.undo());
  }

  /** @returns {boolean} whether there was anything to redo */
  redo() {
    return this.#show(this.history.redo());
  }

  /** @returns {Rect} */
  #everything() {
    return { x: 0, y: 0, width: this.width, height: this.height };
  }

  /**
   * @param {Point} from
   * @param {Point} to
   */
  #segment(from, to) {
    const { brush } = /** @type {{brush: Brush}} */ (this.stroke);
    const bounds = segmentBounds(this.levels[0], from, to, brush.size);
    if (!bounds) return;
    this.history.touch(bounds);
    paintSegment(this.levels[0], from, to, brush, bounds);
    this.#show(bounds);
  }

  /**
   * @param {Rect | null} rect
   * @returns {boolean} whether there was anything to show
   */
  #show(rect) {
    if (!rect) return false;
    this.knownEmpty = null;
    let part = rect;
    for (let i = 1; i < this.levels.length; i++) part = halve(this.levels[i - 1], this.levels[i], part);
    this.onpaint(rect);
    return true;
  }
}

/** @param {Uint8Array} data  starts a buffer; read four bytes at a time, for masks have millions */
function allZero(data) {
  const words = new Uint32Array(data.buffer, 0, data.length >> 2);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  return data.subarray(words.length * 4).every((value) => value === 0);
}

/**
 * @param {number} width
 * @param {number} height
 * @returns {Plane} all black; its buffer is padded to whole words so that it can be read and turned four pixels at a time
 */
function plane(width, height) {
  const length = width * height;
  return { width, height, data: new Uint8Array(new ArrayBuffer(Math.ceil(length / 4) * 4), 0, length) };
}

/**
 * Brings one level up to date with the part that changed in the level above it.
 * @param {Plane} large
 * @param {Plane} small
 * @param {Rect} rect  in pixels of `large`
 * @returns {Rect} the same part in pixels of `small`
 */
function halve(large, small, rect) {
  const x = rect.x >> 1;
  const y = rect.y >> 1;
  const right = Math.min(small.width, (rect.x + rect.width + 1) >> 1);
  const bottom = Math.min(small.height, (rect.y + rect.height + 1) >> 1);
  for (let row = y; row < bottom; row++) {
    const upper = 2 * row * large.width;
    const lower = 2 * row + 1 < large.height ? upper + large.width : upper;
    const target = row * small.width;
    for (let column = x; column < right; column++) {
      const left = 2 * column;
      const next = left + 1 < large.width ? left + 1 : left;
      small.data[target + column] =
        large.data[upper + left] | large.data[upper + next] | large.data[lower + left] | large.data[lower + next];
    }
  }
  return { x, y, width: right - x, height: bottom - y };
}
