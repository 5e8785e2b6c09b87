/** A layer of colour over the picture: RGBA at full picture resolution, with copies of it to draw on the screen. */

import { Surface } from "./canvas_surface.js";
import { TILE } from "./canvas_tiles.js";

/**
 * @typedef {import("./canvas_brush.js").Brush} Brush
 * @typedef {import("./canvas_brush.js").Rect} Rect
 */

const SMALLEST_COPY = 512;
const OPAQUE = 0xff000000;

/** Pixels are little-endian RGBA words whose colour is not multiplied by alpha; nothing is allocated before the first stroke. */
export class ColourLayer extends Surface {
  /** @type {{width: number, height: number, data: Uint32Array} | null} */ #plane = null;
  /** @type {Copies | null} */ #copies = null;
  /**
   * How much of the brush each pixel has had in this stroke: what crosses itself grows no darker.
   * @type {Uint8Array | null}
   */
  #had = null;

  get plane() {
    const { width, height } = this;
    this.#plane ??= { width, height, data: new Uint32Array(width * height) };
    return this.#plane;
  }

  isEmpty() {
    return this.#plane === null || super.isEmpty();
  }

  /** The canvases to draw from, each half as large as the one before; null while the layer is untouched. */
  get copies() {
    return this.#copies;
  }

  /**
   * @param {number} row
   * @param {number} first
   * @param {number} last
   * @param {Uint8Array | null} levels
   * @param {Brush} brush
   */
  paintRow(row, first, last, levels, { erase, colour = 0, opacity = 1 }) {
    const { data } = this.plane;
    const base = row * this.width;
    if (!levels && opacity >= 1) {
      data.fill(erase ? 0 : (colour | OPAQUE) >>> 0, base + first, base + last + 1);
      return;
    }
    const had = (this.#had ??= new Uint8Array(this.width * this.height));
    const across = Math.ceil(this.width / TILE);
    const down = Math.floor(row / TILE);
    for (let x = first; x <= last; ) {
      const column = Math.floor(x / TILE);
      const before = this.history.before(down * across + column);
      const wide = Math.min(TILE, this.width - column * TILE);
      const end = Math.min(last, column * TILE + TILE - 1);
      for (let at = (row - down * TILE) * wide + x - column * TILE; x <= end; x++, at++) {
        const level = levels ? levels[x - first] : 255;
        if (level <= had[base + x]) continue;
        had[base + x] = level;
        data[base + x] = (erase ? thin : blend)(before[at], colour, (level / 255) * opacity);
      }
    }
  }

  forget() {
    const had = this.#had;
    if (!had) return;
    for (const { x, y, width, height } of this.history.touched()) {
      for (let row = y; row < y + height; row++) had.fill(0, row * this.width + x, row * this.width + x + width);
    }
  }

  /** @param {Rect} rect */
  changed(rect) {
    this.#copies ??= new Copies(this.plane); // empty, as the layer was until now
    this.#copies.mark(rect);
    super.changed(rect);
  }
}

/**
 * @param {number} word
 * @param {number} colour
 * @param {number} share  0 to 1
 * @returns {number} the colour laid over what is there
 */
function blend(word, colour, share) {
  const rest = ((word >>> 24) / 255) * (1 - share);
  const alpha = share + rest;
  if (alpha <= 0) return 0;
  const mix = (/** @type {number} */ shift) => Math.round((((colour >>> shift) & 255) * share + ((word >>> shift) & 255) * rest) / alpha);
  return ((Math.round(255 * alpha) << 24) | (mix(16) << 16) | (mix(8) << 8) | mix(0)) >>> 0;
}

/**
 * @param {number} word
 * @param {number} _colour
 * @param {number} share  0 to 1
 * @returns {number} what is there, with so much taken away
 */
function thin(word, _colour, share) {
  const alpha = Math.round((word >>> 24) * (1 - share));
  return alpha ? ((word & 0xffffff) | (alpha << 24)) >>> 0 : 0;
}

/** Canvases that follow the pixels: only what changed is brought up to date, and only as far down as is looked at. */
class Copies {
  /** @param {{width: number, height: number, data: Uint32Array}} plane */
  constructor({ width, height, data }) {
    this.image = new ImageData(new Uint8ClampedArray(/** @type {ArrayBuffer} */ (data.buffer)), width, height);
    this.contexts = [context(width, height)];
    for (let last = this.contexts[0].canvas; Math.max(last.width, last.height) > 2 * SMALLEST_COPY; last = this.contexts.at(-1).canvas) {
      this.contexts.push(context(Math.ceil(last.width / 2), Math.ceil(last.height / 2)));
    }
    /** @type {(Rect | null)[]} what each canvas has not heard of yet, in its own pixels */
    this.stale = this.contexts.map(() => null);
  }

  get length() {
    return this.contexts.length;
  }

  /** @param {Rect} rect */
  mark(rect) {
    this.stale[0] = union(this.stale[0], rect);
  }

  /**
   * @param {number} level
   * @returns {HTMLCanvasElement}
   */
  at(level) {
    for (let i = 0; i <= level; i++) this.#refresh(i);
    return this.contexts[level].canvas;
  }

  /** @param {number} level */
  #refresh(level) {
    const rect = this.stale[level];
    if (!rect) return;
    this.stale[level] = null;
    if (level === 0) this.contexts[0].putImageData(this.image, 0, 0, rect.x, rect.y, rect.width, rect.height);
    else {
      const above = this.contexts[level - 1].canvas;
      this.contexts[level].clearRect(rect.x, rect.y, rect.width, rect.height);
      const [x, y] = [rect.x * 2, rect.y * 2];
      const width = Math.min(above.width - x, rect.width * 2);
      const height = Math.min(above.height - y, rect.height * 2);
      this.contexts[level].drawImage(above, x, y, width, height, rect.x, rect.y, width / 2, height / 2);
    }
    if (level + 1 >= this.length) return;
    const x = rect.x >> 1;
    const y = rect.y >> 1;
    const half = { x, y, width: Math.ceil((rect.x + rect.width) / 2) - x, height: Math.ceil((rect.y + rect.height) / 2) - y };
    this.stale[level + 1] = union(this.stale[level + 1], half);
  }
}

/**
 * @param {number} width
 * @param {number} height
 */
function context(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}

/**
 * @param {Rect | null} one
 * @param {Rect} other
 * @returns {Rect} the smallest that holds both
 */
export function union(one, other) {
  if (!one) return other;
  const x = Math.min(one.x, other.x);
  const y = Math.min(one.y, other.y);
  const right = Math.max(one.x + one.width, other.x + other.width);
  const bottom = Math.max(one.y + one.height, other.y + other.height);
  return { x, y, width: right - x, height: bottom - y };
}
