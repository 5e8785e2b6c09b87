/** Squares of a layer, packed small: what undo keeps in place of copies of whole layers. */

/**
 * @typedef {import("./canvas_brush.js").Plane} Plane
 * @typedef {import("./canvas_brush.js").Rect} Rect
 * @typedef {Uint8Array | Uint32Array} Values  One number per pixel: a mask's level or a colour's RGBA word.
 * @typedef {number | {a: number, b: number, bits: Uint8Array} | Values} Snapshot  One value, two values with a bit per pixel, or all.
 */

export const TILE = 64;

/** The grid of squares over a layer of this size; the squares at the right and bottom edge may be smaller. */
export class Grid {
  /** @param {{width: number, height: number}} size */
  constructor({ width, height }) {
    this.width = width;
    this.height = height;
    this.across = Math.ceil(width / TILE);
  }

  /**
   * @param {Rect} rect
   * @returns {number[]} the squares that a part touches
   */
  under(rect) {
    const found = [];
    const right = Math.floor((rect.x + rect.width - 1) / TILE);
    const bottom = Math.floor((rect.y + rect.height - 1) / TILE);
    for (let row = Math.floor(rect.y / TILE); row <= bottom; row++) {
      for (let column = Math.floor(rect.x / TILE); column <= right; column++) found.push(row * this.across + column);
    }
    return found;
  }

  /**
   * @param {number} index
   * @returns {Rect}
   */
  area(index) {
    const x = (index % this.across) * TILE;
    const y = Math.floor(index / this.across) * TILE;
    return { x, y, width: Math.min(TILE, this.width - x), height: Math.min(TILE, this.height - y) };
  }

  /**
   * @param {Values} data  of the whole layer
   * @param {number} index
   * @returns {Values} a copy of one square, row by row
   */
  read(data, index) {
    const { x, y, width, height } = this.area(index);
    const values = data instanceof Uint8Array ? new Uint8Array(width * height) : new Uint32Array(width * height);
    for (let row = 0; row < height; row++) {
      const from = (y + row) * this.width + x;
      values.set(data.subarray(from, from + width), row * width);
    }
    return values;
  }

  /**
   * @param {Values} data
   * @param {number} index
   * @param {Snapshot} snapshot
   */
  write(data, index, snapshot) {
    const { x, y, width, height } = this.area(index);
    for (let row = 0; row < height; row++) {
      const to = (y + row) * this.width + x;
      if (typeof snapshot === "number") data.fill(snapshot, to, to + width);
      else if ("bits" in snapshot) unpackRow(data, to, snapshot, row * width, width);
      else data.set(snapshot.subarray(row * width, (row + 1) * width), to);
    }
  }
}

/**
 * @param {Values} data
 * @param {number} to
 * @param {{a: number, b: number, bits: Uint8Array}} packed
 * @param {number} from
 * @param {number} count
 */
function unpackRow(data, to, { a, b, bits }, from, count) {
  for (let i = 0; i < count; i++) {
    const at = from + i;
    data[to + i] = bits[at >> 3] & (1 << (at & 7)) ? b : a;
  }
}

/**
 * @param {Values} values
 * @returns {Snapshot}
 */
export function pack(values) {
  // Plain loops: whole-layer edits pack every pixel, and a callback per pixel would be felt.
  const a = values[0];
  let i = 1;
  while (i < values.length && values[i] === a) i++;
  if (i === values.length) return a;
  const b = values[i];
  while (i < values.length && (values[i] === a || values[i] === b)) i++;
  if (i < values.length) return values;
  const bits = new Uint8Array(Math.ceil(values.length / 8));
  for (i = 0; i < values.length; i++) if (values[i] === b) bits[i >> 3] |= 1 << (i & 7);
  return { a, b, bits };
}

/**
 * @param {Snapshot} one
 * @param {Snapshot} other
 * @returns {boolean}
 */
export function same(one, other) {
  if (typeof one === "number" || typeof other === "number") return one === other;
  if ("bits" in one && "bits" in other) return one.a === other.a && one.b === other.b && equal(one.bits, other.bits);
  return !("bits" in one) && !("bits" in other) && equal(one, other);
}

/**
 * @param {Values} one
 * @param {Values} other
 */
function equal(one, other) {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false;
  return true;
}

/**
 * @param {Snapshot} snapshot
 * @returns {number} bytes
 */
export function weight(snapshot) {
  if (typeof snapshot === "number") return 8;
  return "bits" in snapshot ? snapshot.bits.length + 16 : snapshot.byteLength;
}
