/** Undo and redo for a mask: each step keeps the tiles it changed, packed, never a copy of the whole mask. */

/**
 * @typedef {import("./canvas_brush.js").Plane} Plane
 * @typedef {import("./canvas_brush.js").Rect} Rect
 * @typedef {number | Uint8Array} Snapshot  A single value, one bit per pixel (black or white only), or all bytes of a tile.
 * @typedef {{tiles: Map<number, Snapshot>, inverts: boolean}} Step
 */

const TILE = 64;
const KEPT_STEPS = 100;
const SURE_STEPS = 50;
const BYTES_ALLOWED = 48 * 2 ** 20;

/** One record of what can be undone; a step restores by swapping its tiles with what is there, so undo and redo are the same move. */
export class History {
  /** @param {Plane} plane */
  constructor(plane) {
    this.plane = plane;
    this.across = Math.ceil(plane.width / TILE);
    this.down = Math.ceil(plane.height / TILE);
    /** @type {Step[]} */ this.done = [];
    /** @type {Step[]} */ this.undone = [];
    /** @type {Step | null} */ this.open = null;
  }

  begin() {
    this.open = { tiles: new Map(), inverts: false };
  }

  /**
   * Remembers the tiles under a part that is about to change; cheap when they are remembered already.
   * @param {Rect} rect
   */
  touch(rect) {
    if (!this.open) throw new Error("touch() needs an open step");
    const right = Math.floor((rect.x + rect.width - 1) / TILE);
    const bottom = Math.floor((rect.y + rect.height - 1) / TILE);
    for (let ty = Math.floor(rect.y / TILE); ty <= bottom; ty++) {
      for (let tx = Math.floor(rect.x / TILE); tx <= right; tx++) {
        const index = ty * this.across + tx;
        if (!this.open.tiles.has(index)) this.open.tiles.set(index, this.#read(index));
      }
    }
  }

  /**
   * Ends the open step and keeps it unless nothing changed.
   * @returns {boolean} whether anything changed
   */
  commit() {
    const step = this.open;
    this.open = null;
    if (!step || !this.#changed(step)) return false;
    this.#keep(step);
    return true;
  }

  /** Records an inversion, which is its own undo and needs no tiles. */
  commitInversion() {
    this.#keep({ tiles: new Map(), inverts: true });
  }

  /**
   * Puts the open step's tiles back and forgets it.
   * @returns {Rect | null} what changed
   */
  abandon() {
    const step = this.open;
    this.open = null;
    return step ? this.#swap(step) : null;
  }

  /** @returns {Rect | null} what changed, null when there was nothing to undo */
  undo() {
    return this.#move(this.done, this.undone);
  }

  /** @returns {Rect | null} what changed, null when there was nothing to redo */
  redo() {
    return this.#move(this.undone, this.done);
  }

  /** Bytes held by all steps, counting a uniform tile as 8. */
  get bytes() {
    let sum = 0;
    for (const step of [...this.done, ...this.undone]) sum += weight(step);
    return sum;
  }

  /** @param {Step} step */
  #keep(step) {
    this.undone = [];
    this.done.push(step);
    let bytes = this.bytes;
    while (this.done.length > KEPT_STEPS || (this.done.length > SURE_STEPS && bytes > BYTES_ALLOWED)) {
      bytes -= weight(/** @type {Step} */ (this.done.shift()));
    }
  }

  /**
   * @param {Step[]} from
   * @param {Step[]} to
   * @returns {Rect | null}
   */
  #move(from, to) {
    const step = from.pop();
    if (!step) return null;
    to.push(step);
    if (!step.inverts) return this.#swap(step);
    invertBytes(this.plane.data);
    return { x: 0, y: 0, width: this.plane.width, height: this.plane.height };
  }

  /**
   * @param {Step} step
   * @returns {Rect | null}
   */
  #swap(step) {
    let [left, top, right, bottom] = [Infinity, Infinity, 0, 0];
    for (const [index, before] of step.tiles) {
      step.tiles.set(index, this.#read(index));
      this.#write(index, before);
      const area = this.#area(index);
      left = Math.min(left, area.x);
      top = Math.min(top, area.y);
      right = Math.max(right, area.x + area.width);
      bottom = Math.max(bottom, area.y + area.height);
    }
    return right > left ? { x: left, y: top, width: right - left, height: bottom - top } : null;
  }

  /** @param {Step} step */
  #changed(step) {
    for (const [index, before] of step.tiles) if (!same(before, this.#read(index))) return true;
    return false;
  }

  /**
   * @param {number} index
   * @returns {Rect}
   */
  #area(index) {
    const x = (index % this.across) * TILE;
    const y = Math.floor(index / this.across) * TILE;
    return { x, y, width: Math.min(TILE, this.plane.width - x), height: Math.min(TILE, this.plane.height - y) };
  }

  /**
   * @param {number} index
   * @returns {Snapshot}
   */
  #read(index) {
    const { x, y, width, height } = this.#area(index);
    const bytes = new Uint8Array(width * height);
    for (let row = 0; row < height; row++) {
      const from = (y + row) * this.plane.width + x;
      bytes.set(this.plane.data.subarray(from, from + width), row * width);
    }
    return pack(bytes);
  }

  /**
   * @param {number} index
   * @param {Snapshot} snapshot
   */
  #write(index, snapshot) {
    const { x, y, width, height } = this.#area(index);
    const bytes = unpack(snapshot, width * height);
    for (let row = 0; row < height; row++) {
      this.plane.data.set(bytes.subarray(row * width, (row + 1) * width), (y + row) * this.plane.width + x);
    }
  }
}

/**
 * @param {Uint8Array} bytes
 * @returns {Snapshot}
 */
function pack(bytes) {
  // Plain loops: whole-mask edits pack every pixel, and a callback per pixel would be felt.
  let i = 1;
  while (i < bytes.length && bytes[i] === bytes[0]) i++;
  if (i === bytes.length) return bytes[0];
  i = 0;
  while (i < bytes.length && (bytes[i] === 0 || bytes[i] === 255)) i++;
  if (i < bytes.length) return bytes;
  const bits = new Uint8Array(Math.ceil(bytes.length / 8));
  for (i = 0; i < bytes.length; i++) if (bytes[i]) bits[i >> 3] |= 1 << (i & 7);
  return bits;
}

/**
 * @param {Snapshot} snapshot
 * @param {number} length
 * @returns {Uint8Array}
 */
function unpack(snapshot, length) {
  if (typeof snapshot === "number") return new Uint8Array(length).fill(snapshot);
  if (snapshot.length === length) return snapshot;
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) if (snapshot[i >> 3] & (1 << (i & 7))) bytes[i] = 255;
  return bytes;
}

/**
 * @param {Snapshot} a
 * @param {Snapshot} b
 */
function same(a, b) {
  if (typeof a === "number" || typeof b === "number") return a === b;
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** @param {Step} step */
function weight(step) {
  let sum = 0;
  for (const snapshot of step.tiles.values()) sum += typeof snapshot === "number" ? 8 : snapshot.length;
  return sum;
}

/** @param {Uint8Array} data  its buffer is a whole number of 4-byte words */
export function invertBytes(data) {
  const words = new Uint32Array(data.buffer);
  for (let i = 0; i < words.length; i++) words[i] = ~words[i];
}
