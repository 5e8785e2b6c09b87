/** Edits of whole layers: fills, a mask from colours or transparency, grown, shrunk, feathered, inverted. */

import { seenPixels } from "./canvas_compose.js";
import { transparencyMask } from "./canvas_files.js";
import { feathered, grown, shrunk } from "./canvas_morph.js";
import { alike, connected, whole } from "./canvas_regions.js";

/**
 * @typedef {import("./canvas.js").StudioCanvas} StudioCanvas
 * @typedef {import("./canvas_brush.js").Point} Point
 * @typedef {import("./canvas_surface.js").Region} Region
 */

const HALF = 128;

/**
 * Where a fill would go. On the mask, a part that is enclosed by what is painted; else what looks like the pixel at this place.
 * @param {StudioCanvas} canvas
 * @param {Point} point
 * @returns {Region | null} null outside the picture
 */
export function poured(canvas, point) {
  const { stage, tool, looks, active } = canvas;
  const sheet = /** @type {import("./canvas_sheet.js").Sheet} */ (stage.sheet);
  const [x, y] = [Math.floor(point.x), Math.floor(point.y)];
  if (x < 0 || y < 0 || x >= sheet.width || y >= sheet.height) return null;
  const at = y * sheet.width + x;
  if (active === "mask" && sheet.mask && !tool.everywhere) {
    const enclosed = hole(sheet.mask, at, x, y);
    if (enclosed) return enclosed;
  }
  const own = active === "control" ? sheet.control : null;
  const pixels = own ? own.plane.data : seenPixels(sheet, looks);
  const set = alike(pixels, pixels[at], tool.tolerance);
  return tool.everywhere ? whole(sheet, set) : connected(sheet, set, x, y);
}

/**
 * @param {import("./canvas_mask.js").Mask} mask
 * @param {number} at
 * @param {number} x
 * @param {number} y
 * @returns {Region | null} the unmasked part around a place if the mask closes it in
 */
function hole(mask, at, x, y) {
  const { data } = mask.plane;
  if (mask.isEmpty() || data[at] >= HALF) return null;
  const free = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) if (data[i] < HALF) free[i] = 255;
  const found = connected(mask, free, x, y);
  return found.open ? null : found;
}

/**
 * What can be done to the mask as a whole; each is one step of the history.
 * @param {StudioCanvas} canvas
 */
export function maskEdits(canvas) {
  const edit = (/** @type {(mask: import("./canvas_mask.js").Mask) => void} */ change) => {
    const mask = canvas.stage.sheet?.mask;
    if (!mask) return;
    canvas.settle();
    change(mask);
    canvas.changed("mask");
  };
  const distance = () => canvas.tool.distance;
  return {
    invert: () => edit((mask) => mask.invert()),
    grow: () => edit((mask) => mask.replace(grown(mask.plane, distance()))),
    shrink: () => edit((mask) => mask.replace(shrunk(mask.plane, distance()))),
    feather: () => edit((mask) => mask.replace(feathered(mask.plane, distance()))),
    transparency: () => {
      const { picture } = canvas.stage;
      if (picture) edit((mask) => mask.replace(transparencyMask(picture)));
    },
  };
}
