/** The frame: how far the finished picture reaches beyond the one that is there (or stays inside it), side by side. */

/**
 * @typedef {"left" | "top" | "right" | "bottom"} Side
 * @typedef {Record<Side, number>} Frame  Pixels beyond each side; negative ones cut the picture.
 * @typedef {{width: number, height: number}} Size
 */

/** @type {Side[]} */
export const SIDES = ["left", "top", "right", "bottom"];
export const NO_FRAME = Object.freeze({ left: 0, top: 0, right: 0, bottom: 0 });

const LEAST = 8;
const MOST_SIDE = 8192;
const MOST_PIXELS = 40_000_000;
const STEP = 8;

/** @param {Frame} frame */
export function isFramed(frame) {
  return SIDES.some((side) => frame[side] !== 0);
}

/**
 * @param {Size} picture
 * @param {Frame} frame
 * @returns {Size}
 */
export function framedSize(picture, frame) {
  return { width: picture.width + frame.left + frame.right, height: picture.height + frame.top + frame.bottom };
}

/**
 * @param {Frame} frame
 * @returns {boolean} whether there is anything new to be made
 */
export function reachesOut(frame) {
  return SIDES.some((side) => frame[side] > 0);
}

/**
 * @param {Size} picture
 * @param {Frame} frame
 * @param {Side} side
 * @param {number} value
 * @returns {Frame} the frame with one side moved as far as is allowed
 */
export function moved(picture, frame, side, value) {
  const lies = side === "left" || side === "right";
  const opposite = { left: "right", right: "left", top: "bottom", bottom: "top" }[side];
  const rest = (lies ? picture.width : picture.height) + frame[/** @type {Side} */ (opposite)];
  const size = framedSize(picture, frame);
  const most = Math.min(MOST_SIDE, Math.floor(MOST_PIXELS / (lies ? size.height : size.width)));
  const least = Math.max(LEAST - rest, 1 - (lies ? picture.width : picture.height)); // something of the picture stays
  return { ...frame, [side]: Math.min(most - rest, Math.max(least, Math.round(value) || 0)) };
}

/**
 * @param {Size} picture
 * @param {Frame} frame
 * @param {Side} side
 * @param {number} value
 * @returns {number} the value near this one that makes the finished size a multiple of 8, as models want it; 0 draws a little harder
 */
export function settled(picture, frame, side, value) {
  if (Math.abs(value) < STEP / 2) return 0;
  const lies = side === "left" || side === "right";
  const size = framedSize(picture, { ...frame, [side]: 0 });
  const rest = lies ? size.width : size.height;
  return Math.round((rest + value) / STEP) * STEP - rest;
}

/**
 * @param {Size} picture
 * @returns {number} how many pixels of the picture are made anew along a new side, to begin with
 */
export function usualOverlap(picture) {
  return Math.max(4, Math.round(Math.min(picture.width, picture.height) / 32 / 4) * 4);
}
