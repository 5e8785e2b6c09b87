/** Where a brush falls: rows of pixels along a stroke, exact and hard-edged unless softness is asked for. */

/**
 * @typedef {{x: number, y: number, width: number, height: number}} Rect  In picture pixels.
 * @typedef {{x: number, y: number}} Point  In picture pixels; pixel i covers [i, i + 1).
 * @typedef {{width: number, height: number, data: Uint8Array | Uint32Array}} Plane  One number per pixel.
 */

/**
 * @typedef {object} Brush
 * @property {number} size  diameter in picture pixels
 * @property {boolean} erase
 * @property {number} softness  0 (hard) to 1 (fades from the middle on)
 * @property {number} [colour]  RGB as a little-endian word without alpha; for layers of colour
 * @property {number} [opacity]  0 to 1; for layers of colour
 */

// A pixel whose centre lies on the rim counts as inside, whatever the last float bit says.
const RIM = 1e-4;

/**
 * The centre a brush of this size really has: odd brushes sit on pixels, even ones between them, so small brushes are symmetric.
 * @param {Point} point
 * @param {number} size
 * @returns {Point}
 */
export function snap(point, size) {
  const odd = size % 2 === 1;
  const settle = (/** @type {number} */ v) => (odd ? Math.floor(v) + 0.5 : Math.round(v));
  return { x: settle(point.x), y: settle(point.y) };
}

/**
 * Where the row at height y meets the capsule from a to b; lo > hi when it does not.
 * @param {Point} a
 * @param {Point} b
 * @param {number} radius
 * @param {number} y
 * @returns {[number, number]}
 */
function rowSpan(a, b, radius, y) {
  let lo = Infinity;
  let hi = -Infinity;
  for (const centre of [a, b]) {
    const dy = y - centre.y;
    if (Math.abs(dy) > radius) continue;
    const half = Math.sqrt(radius * radius - dy * dy);
    lo = Math.min(lo, centre.x - half);
    hi = Math.max(hi, centre.x + half);
  }
  const length = Math.hypot(b.x - a.x, b.y - a.y);
  if (length === 0) return [lo, hi];
  const nx = (-(b.y - a.y) / length) * radius;
  const ny = ((b.x - a.x) / length) * radius;
  const corners = [
    [a.x + nx, a.y + ny],
    [b.x + nx, b.y + ny],
    [b.x - nx, b.y - ny],
    [a.x - nx, a.y - ny],
  ];
  for (let i = 0; i < 4; i++) {
    const [x1, y1] = corners[i];
    const [x2, y2] = corners[(i + 1) % 4];
    if (y1 === y2 || y < Math.min(y1, y2) || y > Math.max(y1, y2)) continue;
    const x = x1 + ((y - y1) / (y2 - y1)) * (x2 - x1);
    lo = Math.min(lo, x);
    hi = Math.max(hi, x);
  }
  return [lo, hi];
}

/**
 * The part of a layer that a segment can change, or null when it misses the layer.
 * @param {{width: number, height: number}} layer
 * @param {Point} a
 * @param {Point} b
 * @param {number} size
 * @returns {Rect | null}
 */
export function segmentBounds(layer, a, b, size) {
  const reach = size / 2 + 1;
  const x = Math.max(0, Math.floor(Math.min(a.x, b.x) - reach));
  const y = Math.max(0, Math.floor(Math.min(a.y, b.y) - reach));
  const right = Math.min(layer.width, Math.ceil(Math.max(a.x, b.x) + reach));
  const bottom = Math.min(layer.height, Math.ceil(Math.max(a.y, b.y) + reach));
  return right > x && bottom > y ? { x, y, width: right - x, height: bottom - y } : null;
}

/**
 * Visits every row of pixels whose centres are within size / 2 of the segment a-b. Both ends must be snapped.
 * @param {Point} a
 * @param {Point} b
 * @param {Brush} brush
 * @param {Rect} bounds  from segmentBounds
 * @param {(row: number, first: number, last: number, levels: Uint8Array | null) => void} visit  levels: how much of the brush
 *   each pixel from `first` on gets, 0 to 255; null stands for all of it. The array is used again for the next row.
 */
export function sweep(a, b, brush, bounds, visit) {
  const radius = brush.size / 2;
  const levels = brush.softness > 0 ? new Uint8Array(bounds.width) : null;
  for (let row = bounds.y; row < bounds.y + bounds.height; row++) {
    const [lo, hi] = rowSpan(a, b, radius + RIM, row + 0.5);
    const first = Math.max(bounds.x, Math.ceil(lo - 0.5));
    const last = Math.min(bounds.x + bounds.width - 1, Math.floor(hi - 0.5));
    if (first > last) continue;
    if (levels) fade(levels, a, b, brush, row + 0.5, first, last);
    visit(row, first, last, levels);
  }
}

/**
 * @param {Uint8Array} levels
 * @param {Point} a
 * @param {Point} b
 * @param {Brush} brush
 * @param {number} y
 * @param {number} first
 * @param {number} last
 */
function fade(levels, a, b, brush, y, first, last) {
  const radius = brush.size / 2 + RIM;
  const rim = Math.max((brush.size / 2) * brush.softness, RIM);
  const core = Math.max(0, radius - rim);
  const dx = b.x - a.x;
  const dy = b.y - a.y;
  const length = dx * dx + dy * dy;
  for (let x = first; x <= last; x++) {
    const px = x + 0.5 - a.x;
    const py = y - a.y;
    const along = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
    const ex = px - along * dx;
    const ey = py - along * dy;
    const far = ex * ex + ey * ey;
    // The root is taken in the rim only: most of a large brush is its core.
    levels[x - first] = far <= core * core ? 255 : Math.round(255 * Math.max(0, Math.min(1, (radius - Math.sqrt(far)) / rim)));
  }
}
