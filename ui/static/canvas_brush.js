/** Draws brush strokes into a mask of bytes: exact, hard-edged spans unless softness is asked for. */

/**
 * @typedef {{x: number, y: number, width: number, height: number}} Rect  In mask pixels.
 * @typedef {{x: number, y: number}} Point  In mask pixels; pixel i covers [i, i + 1).
 * @typedef {{width: number, height: number, data: Uint8Array}} Plane
 * @typedef {{size: number, erase: boolean, softness: number}} Brush  Diameter in mask pixels; softness 0 (hard) to 1.
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
 * @param {Point} a
 * @param {Point} b
 * @param {number} x
 * @param {number} y
 * @returns {number} distance from (x, y) to the segment a-b
 */
function distanceTo(a, b, x, y) {
  const dx = b.x - a.x;
  const dy = b.y - a.y;
  const along = dx === 0 && dy === 0 ? 0 : ((x - a.x) * dx + (y - a.y) * dy) / (dx * dx + dy * dy);
  const t = Math.min(1, Math.max(0, along));
  return Math.hypot(x - a.x - t * dx, y - a.y - t * dy);
}

/**
 * The part of the plane that a segment can change, or null when it misses the plane.
 * @param {Plane} plane
 * @param {Point} a
 * @param {Point} b
 * @param {number} size
 * @returns {Rect | null}
 */
export function segmentBounds(plane, a, b, size) {
  const reach = size / 2 + 1;
  const x = Math.max(0, Math.floor(Math.min(a.x, b.x) - reach));
  const y = Math.max(0, Math.floor(Math.min(a.y, b.y) - reach));
  const right = Math.min(plane.width, Math.ceil(Math.max(a.x, b.x) + reach));
  const bottom = Math.min(plane.height, Math.ceil(Math.max(a.y, b.y) + reach));
  return right > x && bottom > y ? { x, y, width: right - x, height: bottom - y } : null;
}

/**
 * Paints (255) or erases (0) every pixel whose centre is within size / 2 of the segment a-b. Both ends must be snapped.
 * @param {Plane} plane
 * @param {Point} a
 * @param {Point} b
 * @param {Brush} brush
 * @param {Rect} bounds  from segmentBounds
 */
export function paintSegment(plane, a, b, brush, bounds) {
  const { data, width } = plane;
  const radius = brush.size / 2;
  const rim = Math.max(radius * brush.softness, RIM);
  for (let row = bounds.y; row < bounds.y + bounds.height; row++) {
    const [lo, hi] = rowSpan(a, b, radius + RIM, row + 0.5);
    const first = Math.max(0, Math.ceil(lo - 0.5));
    const last = Math.min(width - 1, Math.floor(hi - 0.5));
    if (first > last) continue;
    const base = row * width;
    if (brush.softness <= 0) {
      data.fill(brush.erase ? 0 : 255, base + first, base + last + 1);
      continue;
    }
    for (let x = first; x <= last; x++) {
      const depth = (radius + RIM - distanceTo(a, b, x + 0.5, row + 0.5)) / rim;
      const value = Math.round(255 * Math.min(1, Math.max(0, depth)));
      data[base + x] = brush.erase ? Math.min(data[base + x], 255 - value) : Math.max(data[base + x], value);
    }
  }
}
