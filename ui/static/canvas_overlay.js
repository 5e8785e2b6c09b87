/** Paints the mask as the user sees it: a hatched amber-red veil with a light line inside its edge and a dark one outside. */

/**
 * @typedef {import("./canvas_brush.js").Plane} Plane
 * @typedef {import("./canvas_brush.js").Rect} Rect
 */

/** @param {number} r @param {number} g @param {number} b @param {number} a  @returns {number} as a little-endian RGBA word */
const word = (r, g, b, a) => ((a << 24) | (b << 16) | (g << 8) | r) >>> 0;

const VEIL = word(255, 84, 36, 128);
const HATCH = word(196, 44, 8, 150);
const LIGHT_LINE = word(255, 240, 222, 240);
const DARK_LINE = word(24, 8, 2, 220);
const HATCH_PERIOD = 10;

/**
 * The mask pixel beneath each device pixel from `start` on, or -1 outside the mask.
 * @param {number} start
 * @param {number} count
 * @param {number} origin  where the mask begins, in device pixels
 * @param {number} scale  device pixels per mask pixel
 * @param {number} length  of the mask
 * @returns {Int32Array}
 */
function lookUp(start, count, origin, scale, length) {
  const found = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const at = Math.floor((start + i + 0.5 - origin) / scale);
    found[i] = at >= 0 && at < length ? at : -1;
  }
  return found;
}

/**
 * Which device pixels are inside the mask; one more than asked for on every side by `edge`, for the lines.
 * @param {Plane} plane
 * @param {Rect} area
 * @param {number} edge
 * @param {{left: number, top: number}} origin
 * @param {number} scale
 * @returns {Uint8Array} (area.height + 2 edge) rows of (area.width + 2 edge): 0 outside, 255 inside, between for soft masks
 */
function sample(plane, area, edge, origin, scale) {
  const width = area.width + 2 * edge;
  const height = area.height + 2 * edge;
  const columns = lookUp(area.x - edge, width, origin.left, scale, plane.width);
  const rows = lookUp(area.y - edge, height, origin.top, scale, plane.height);
  const inside = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    if (rows[y] < 0) continue;
    const target = y * width;
    if (y > 0 && rows[y] === rows[y - 1]) {
      inside.copyWithin(target, target - width, target);
      continue;
    }
    const source = rows[y] * plane.width;
    for (let x = 0; x < width; x++) if (columns[x] >= 0) inside[target + x] = plane.data[source + columns[x]];
  }
  return inside;
}

/**
 * Repaints one part of the overlay.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./canvas_mask.js").Mask} mask
 * @param {import("./canvas_view.js").View} view
 * @param {Rect} area  in device pixels
 */
export function paintOverlay(context, mask, view, area) {
  let level = 0;
  let scale = view.scale;
  while (scale <= 0.5 && level < mask.levels.length - 1) {
    scale *= 2;
    level++;
  }
  const edge = Math.max(1, Math.round(view.ratio));
  const inside = sample(mask.levels[level], area, edge, view, scale);
  const image = new ImageData(area.width, area.height);
  const pixels = new Uint32Array(image.data.buffer);
  const stride = area.width + 2 * edge;
  const period = HATCH_PERIOD * edge;
  const phase = area.x + area.y - view.left - view.top + 1024 * period;
  for (let y = 0; y < area.height; y++) {
    let at = (y + edge) * stride + edge;
    let target = y * area.width;
    for (let x = 0; x < area.width; x++, at++, target++) {
      const value = inside[at];
      const around =
        (inside[at - edge] >> 7) + (inside[at + edge] >> 7) + (inside[at - edge * stride] >> 7) + (inside[at + edge * stride] >> 7);
      if (value >= 128) {
        if (around < 4) pixels[target] = LIGHT_LINE;
        else pixels[target] = (phase + x + y) % period < edge ? HATCH : VEIL;
      } else if (around > 0) pixels[target] = DARK_LINE;
      else if (value > 0) pixels[target] = (VEIL & 0xffffff) | ((value >> 1) << 24);
    }
  }
  context.putImageData(image, area.x, area.y);
}
