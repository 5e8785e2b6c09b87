/** Sets of pixels: inside a lasso or a rectangle, alike in colour, or enclosed by what is painted. */

/**
 * @typedef {import("./canvas_brush.js").Point} Point
 * @typedef {import("./canvas_brush.js").Rect} Rect
 * @typedef {import("./canvas_surface.js").Region} Region
 * @typedef {{width: number, height: number}} Size
 */

/** @type {Region} */
const NOTHING = { x: 0, y: 0, width: 0, height: 0, data: new Uint8Array() };

/**
 * @param {Size} size
 * @param {Point} a
 * @param {Point} b
 * @returns {Region} the whole pixels between two corners
 */
export function rectangle(size, a, b) {
  const hold = (/** @type {number} */ v, /** @type {number} */ most) => Math.min(most, Math.max(0, Math.round(v)));
  const x = hold(Math.min(a.x, b.x), size.width);
  const y = hold(Math.min(a.y, b.y), size.height);
  const width = hold(Math.max(a.x, b.x), size.width) - x;
  const height = hold(Math.max(a.y, b.y), size.height) - y;
  return { x, y, width, height, data: new Uint8Array(width * height).fill(255) };
}

/**
 * @param {Size} size
 * @param {Point[]} points  the corners; the last is joined to the first
 * @returns {Region} pixels whose centre is inside, by the even-odd rule
 */
export function polygon(size, points) {
  if (points.length < 3) return NOTHING;
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  const x = Math.max(0, Math.floor(Math.min(...xs)));
  const y = Math.max(0, Math.floor(Math.min(...ys)));
  const width = Math.min(size.width, Math.ceil(Math.max(...xs))) - x;
  const height = Math.min(size.height, Math.ceil(Math.max(...ys))) - y;
  if (width <= 0 || height <= 0) return NOTHING;
  const data = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) {
    const crossings = crossed(points, y + row + 0.5);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const first = Math.max(0, Math.ceil(crossings[i] - 0.5) - x);
      const last = Math.min(width, Math.ceil(crossings[i + 1] - 0.5) - x);
      if (last > first) data.fill(255, row * width + first, row * width + last);
    }
  }
  return { x, y, width, height, data };
}

/**
 * @param {Point[]} points
 * @param {number} y
 * @returns {number[]} where the outline crosses this height, from left to right
 */
function crossed(points, y) {
  const found = [];
  for (let i = 0; i < points.length; i++) {
    const a = points[i];
    const b = points[(i + 1) % points.length];
    if (a.y <= y !== b.y <= y) found.push(a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x));
  }
  return found.sort((one, other) => one - other);
}

/**
 * Which pixels look like one of them: no channel differs by more than the tolerance. All transparent pixels are alike.
 * @param {Uint32Array} pixels  little-endian RGBA words
 * @param {number} like  the word to compare with
 * @param {number} tolerance  0 to 255
 * @returns {Uint8Array} 255 where alike
 */
export function alike(pixels, like, tolerance) {
  const found = new Uint8Array(pixels.length);
  const [r, g, b, a] = [like & 255, (like >>> 8) & 255, (like >>> 16) & 255, like >>> 24];
  for (let i = 0; i < pixels.length; i++) {
    const word = pixels[i];
    if (word === like) found[i] = 255;
    else if (tolerance > 0) {
      const alpha = word >>> 24;
      const close =
        Math.abs((word & 255) - r) <= tolerance &&
        Math.abs(((word >>> 8) & 255) - g) <= tolerance &&
        Math.abs(((word >>> 16) & 255) - b) <= tolerance;
      if ((close || (alpha === 0 && a === 0)) && Math.abs(alpha - a) <= tolerance) found[i] = 255;
    }
  }
  return found;
}

/**
 * The connected part of a set around one of its pixels, along edges.
 * @param {Size} size
 * @param {Uint8Array} set  255 for its members
 * @param {number} x
 * @param {number} y
 * @returns {Region & {open: boolean}} open: whether it reaches the edge of the picture
 */
export function connected({ width, height }, set, x, y) {
  const data = new Uint8Array(width * height);
  let [left, top, right, bottom] = [width, height, 0, 0];
  const seeds = [y * width + x];
  while (seeds.length) {
    const seed = /** @type {number} */ (seeds.pop());
    if (data[seed] || !set[seed]) continue;
    const row = Math.floor(seed / width);
    const start = row * width;
    let first = seed;
    let last = seed;
    while (first > start && set[first - 1]) first--;
    while (last < start + width - 1 && set[last + 1]) last++;
    data.fill(255, first, last + 1);
    left = Math.min(left, first - start);
    right = Math.max(right, last - start + 1);
    top = Math.min(top, row);
    bottom = Math.max(bottom, row + 1);
    for (const near of [row - 1, row + 1]) {
      if (near >= 0 && near < height) sow(seeds, set, data, near * width + first - start, last - first);
    }
  }
  if (bottom <= top) return { ...NOTHING, open: false };
  const open = left === 0 || top === 0 || right === width || bottom === height;
  return { ...cut(data, width, { x: left, y: top, width: right - left, height: bottom - top }), open };
}

/**
 * @param {number[]} seeds
 * @param {Uint8Array} set
 * @param {Uint8Array} done
 * @param {number} from
 * @param {number} length
 */
function sow(seeds, set, done, from, length) {
  for (let at = from; at <= from + length; at++) {
    if (set[at] && !done[at] && (at === from || !set[at - 1] || done[at - 1])) seeds.push(at);
  }
}

/**
 * @param {Size} size
 * @param {Uint8Array} data
 * @returns {Region} a whole layer of levels
 */
export function whole({ width, height }, data) {
  return { x: 0, y: 0, width, height, data };
}

/**
 * @param {Uint8Array} data
 * @param {number} stride
 * @param {Rect} rect
 * @returns {Region}
 */
function cut(data, stride, rect) {
  const part = new Uint8Array(rect.width * rect.height);
  for (let row = 0; row < rect.height; row++) {
    const from = (rect.y + row) * stride + rect.x;
    part.set(data.subarray(from, from + rect.width), row * rect.width);
  }
  return { ...rect, data: part };
}
