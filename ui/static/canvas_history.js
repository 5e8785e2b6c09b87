/** Undo and redo over all layers of a picture: each step keeps the squares it changed, packed, within a bound of memory. */

import { Grid, pack, same, weight } from "./canvas_tiles.js";

/**
 * @typedef {import("./canvas_brush.js").Plane} Plane
 * @typedef {import("./canvas_brush.js").Rect} Rect
 * @typedef {import("./canvas_tiles.js").Snapshot} Snapshot
 * @typedef {import("./canvas_tiles.js").Values} Values
 */

/**
 * What a step changes.
 * @typedef {object} Layer
 * @property {Plane} plane
 * @property {(rect: Rect) => void} changed  tells that a part looks different now
 */

/**
 * A step restores by swapping what it holds with what is there, so undo and redo are the same move.
 * @typedef {{swap: () => void, bytes: number}} Step
 */

const KEPT_STEPS = 100;
const SURE_STEPS = 3;
const BYTES_ALLOWED = 96 * 2 ** 20;

/** One record of what can be undone. */
export class History {
  /** @param {number} [allowed]  bytes that all steps together may hold, the last few steps aside */
  constructor(allowed = BYTES_ALLOWED) {
    this.allowed = allowed;
    /** @type {Step[]} */ this.done = [];
    /** @type {Step[]} */ this.undone = [];
    /** @type {{layer: Layer, grid: Grid, before: Map<number, Values>} | null} */ this.open = null;
  }

  /** @param {Layer} layer */
  begin(layer) {
    this.open = { layer, grid: new Grid(layer.plane), before: new Map() };
  }

  /**
   * Remembers the squares under a part that is about to change; cheap when they are remembered already.
   * @param {Rect} rect
   */
  touch(rect) {
    if (!this.open) throw new Error("touch() needs an open step");
    const { layer, grid, before } = this.open;
    for (const index of grid.under(rect)) if (!before.has(index)) before.set(index, grid.read(layer.plane.data, index));
  }

  /**
   * @param {number} index  of a square that the open step has touched
   * @returns {Values} what was there before the step began
   */
  before(index) {
    return /** @type {Values} */ (this.open?.before.get(index));
  }

  /** @returns {Rect[]} the squares that the open step has touched */
  touched() {
    const { open } = this;
    return open ? [...open.before.keys()].map((index) => open.grid.area(index)) : [];
  }

  /**
   * Ends the open step and keeps it unless nothing changed.
   * @returns {boolean} whether anything changed
   */
  commit() {
    const { open } = this;
    this.open = null;
    if (!open) return false;
    const { layer, grid, before } = open;
    /** @type {Map<number, Snapshot>} */ const kept = new Map();
    for (const [index, values] of before) {
      const snapshot = pack(values);
      if (!same(snapshot, pack(grid.read(layer.plane.data, index)))) kept.set(index, snapshot);
    }
    if (kept.size) this.keep(new Squares(layer, grid, kept));
    return kept.size > 0;
  }

  /** Puts the open step's squares back and forgets it. */
  abandon() {
    const { open } = this;
    this.open = null;
    if (open) new Squares(open.layer, open.grid, open.before).swap();
  }

  /** @returns {boolean} whether there was anything to undo */
  undo() {
    return move(this.done, this.undone);
  }

  /** @returns {boolean} whether there was anything to redo */
  redo() {
    return move(this.undone, this.done);
  }

  /** Bytes held by all steps. */
  get bytes() {
    return [...this.done, ...this.undone].reduce((sum, step) => sum + step.bytes, 0);
  }

  /**
   * Keeps a step that has been made; the oldest ones give way.
   * @param {Step} step
   */
  keep(step) {
    this.undone = [];
    this.done.push(step);
    let { bytes } = this;
    while (this.done.length > KEPT_STEPS || (this.done.length > SURE_STEPS && bytes > this.allowed)) {
      bytes -= /** @type {Step} */ (this.done.shift()).bytes;
    }
  }
}

/**
 * @param {Step[]} from
 * @param {Step[]} to
 */
function move(from, to) {
  const step = from.pop();
  if (!step) return false;
  to.push(step);
  step.swap();
  return true;
}

/** The step of a stroke or any other edit of pixels. */
class Squares {
  /**
   * @param {Layer} layer
   * @param {Grid} grid
   * @param {Map<number, Snapshot>} kept
   */
  constructor(layer, grid, kept) {
    this.layer = layer;
    this.grid = grid;
    this.kept = kept;
    this.bytes = this.#weigh();
  }

  swap() {
    const { data } = this.layer.plane;
    let [left, top, right, bottom] = [Infinity, Infinity, 0, 0];
    for (const [index, before] of this.kept) {
      this.kept.set(index, pack(this.grid.read(data, index)));
      this.grid.write(data, index, before);
      const area = this.grid.area(index);
      left = Math.min(left, area.x);
      top = Math.min(top, area.y);
      right = Math.max(right, area.x + area.width);
      bottom = Math.max(bottom, area.y + area.height);
    }
    this.bytes = this.#weigh();
    if (right > left) this.layer.changed({ x: left, y: top, width: right - left, height: bottom - top });
  }

  #weigh() {
    let sum = 0;
    for (const snapshot of this.kept.values()) sum += weight(snapshot);
    return sum;
  }
}
