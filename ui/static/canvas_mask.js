/** The mask of one picture: bytes at full picture resolution (255 = repaint, 0 = keep). */

import { Surface } from "./canvas_surface.js";

/**
 * @typedef {import("./canvas_brush.js").Brush} Brush
 * @typedef {import("./canvas_brush.js").Rect} Rect
 * @typedef {{width: number, height: number, data: Uint8Array}} Bytes
 */

const SMALLEST_LEVEL = 512;

/** Bytes with smaller and smaller copies to look at. */
export class Mask extends Surface {
  /**
   * @param {number} width
   * @param {number} height
   * @param {import("./canvas_history.js").History} history
   * @param {(rect: Rect) => void} onpaint
   */
  constructor(width, height, history, onpaint) {
    super(width, height, history, onpaint);
    /**
     * Level 0 is the mask; each next level is half as large and white where anything beneath is, so no thin stroke vanishes from sight.
     * @type {Bytes[]}
     */
    this.levels = [bytes(width, height)];
    for (let last = this.levels[0]; Math.max(last.width, last.height) > SMALLEST_LEVEL; last = this.levels[this.levels.length - 1]) {
      this.levels.push(bytes(Math.ceil(last.width / 2), Math.ceil(last.height / 2)));
    }
  }

  get plane() {
    return this.levels[0];
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
   * @param {number} row
   * @param {number} first
   * @param {number} last
   * @param {Uint8Array | null} levels
   * @param {Brush} brush
   */
  paintRow(row, first, last, levels, { erase }) {
    const { data } = this.plane;
    const base = row * this.width;
    if (!levels) {
      data.fill(erase ? 0 : 255, base + first, base + last + 1);
      return;
    }
    for (let x = first; x <= last; x++) {
      const level = levels[x - first];
      data[base + x] = erase ? Math.min(data[base + x], 255 - level) : Math.max(data[base + x], level);
    }
  }

  /** An inversion is its own undo and needs no copies. */
  invert() {
    const turn = () => {
      const words = new Uint32Array(this.plane.data.buffer);
      for (let i = 0; i < words.length; i++) words[i] = ~words[i];
      this.#unpad();
      this.changed(this.everything);
    };
    turn();
    this.history.keep({ swap: turn, bytes: 8 });
  }

  /** @param {Rect} rect */
  changed(rect) {
    let part = rect;
    for (let i = 1; i < this.levels.length; i++) part = halve(this.levels[i - 1], this.levels[i], part);
    super.changed(rect);
  }

  /** The bytes between the last pixel and the end of the last word are no pixels and stay 0. */
  #unpad() {
    const { data } = this.plane;
    new Uint8Array(data.buffer).fill(0, data.length);
  }
}

/**
 * @param {number} width
 * @param {number} height
 * @returns {Bytes} all black; its buffer is padded to whole words so that it can be read and turned four pixels at a time
 */
function bytes(width, height) {
  const length = width * height;
  return { width, height, data: new Uint8Array(new ArrayBuffer(Math.ceil(length / 4) * 4), 0, length) };
}

/**
 * Brings one level up to date with the part that changed in the level above it.
 * @param {Bytes} large
 * @param {Bytes} small
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
