/** What leaves the canvas: the picture with its sketch, the mask and the control layer, all as large as the frame. */

import { NO_FRAME, framedSize, isFramed } from "./canvas_frame.js";
import { png } from "./canvas_png.js";

/**
 * @typedef {import("./canvas_sheet.js").Sheet} Sheet
 * @typedef {{width: number, height: number, data: Uint8Array}} Bytes
 * @typedef {Record<string, {shown: boolean, opacity: number}>} Looks
 */

/**
 * @param {number} width
 * @param {number} height
 */
function paper(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
}

/**
 * @param {Sheet} sheet
 * @param {Looks} looks
 * @returns {boolean} whether there is a sketch to lay over the picture
 */
export function isSketched({ sketch }, looks) {
  return sketch !== null && looks.sketch.shown && looks.sketch.opacity > 0 && !sketch.isEmpty();
}

/**
 * @param {Sheet} sheet
 * @param {Looks} looks
 * @returns {boolean} whether the composed picture is the picture's own file
 */
export function isUntouched(sheet, looks) {
  return !isFramed(sheet.frame) && !isSketched(sheet, looks);
}

/**
 * @param {Sheet} sheet
 * @param {Looks} looks
 * @param {{left: number, top: number, right: number, bottom: number}} frame
 * @param {number} [scale]
 */
function composed(sheet, looks, frame, scale = 1) {
  const { width, height } = framedSize(sheet, frame);
  const context = paper(Math.round(width * scale), Math.round(height * scale));
  context.imageSmoothingQuality = "high";
  context.scale(context.canvas.width / width, context.canvas.height / height);
  context.drawImage(sheet.picture.bitmap, frame.left, frame.top);
  if (isSketched(sheet, looks) && sheet.sketch?.copies) {
    context.globalAlpha = looks.sketch.opacity;
    context.drawImage(sheet.sketch.copies.at(0), frame.left, frame.top);
  }
  return context;
}

/**
 * @param {Sheet} sheet
 * @param {Looks} looks
 * @param {number} [scale]
 * @returns {Promise<Blob>} a PNG of picture and sketch as large as the frame, transparent where there is no picture yet
 */
export function composedPicture(sheet, looks, scale = 1) {
  const { canvas } = composed(sheet, looks, sheet.frame, scale);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The picture could not be written."))), "image/png"),
  );
}

/**
 * @param {Sheet} sheet
 * @param {Looks} looks
 * @returns {Uint32Array} picture and sketch as little-endian RGBA words, without the frame
 */
export function seenPixels(sheet, looks) {
  const context = composed(sheet, looks, NO_FRAME);
  return new Uint32Array(context.getImageData(0, 0, sheet.width, sheet.height).data.buffer);
}

/**
 * @param {Sheet} sheet
 * @param {Looks} looks
 * @param {{x: number, y: number}} point  of the picture
 * @returns {number | null} the little-endian RGBA word seen there; null outside the picture
 */
export function seenColour(sheet, looks, point) {
  const [x, y] = [Math.floor(point.x), Math.floor(point.y)];
  if (x < 0 || y < 0 || x >= sheet.width || y >= sheet.height) return null;
  const over = sheet.control?.isEmpty() === false && looks.control.shown ? sheet.control.plane.data[y * sheet.width + x] : 0;
  if (over >>> 24 === 255) return over;
  const context = paper(1, 1);
  context.drawImage(sheet.picture.bitmap, -x, -y);
  if (isSketched(sheet, looks) && sheet.sketch?.copies) {
    context.globalAlpha = looks.sketch.opacity;
    context.drawImage(sheet.sketch.copies.at(0), -x, -y);
  }
  return new Uint32Array(context.getImageData(0, 0, 1, 1).data.buffer)[0];
}

/**
 * The mask at the frame's size. What lies beyond the picture is white, and so is a strip of the picture along each new side.
 * @param {Sheet} sheet
 * @returns {Bytes}
 */
export function composedMask(sheet) {
  const { frame, overlap, mask } = sheet;
  const { width, height } = sheet.framed;
  if (!mask) throw new Error("This canvas has no mask.");
  if (!isFramed(frame)) return mask.plane;
  const data = new Uint8Array(width * height).fill(255);
  const strip = (/** @type {number} */ beyond) => (beyond > 0 ? overlap : 0);
  const from = { x: Math.max(0, -frame.left), y: Math.max(0, -frame.top) };
  const to = { x: sheet.width + Math.min(0, frame.right), y: sheet.height + Math.min(0, frame.bottom) };
  const kept = { x: strip(frame.left), right: to.x - strip(frame.right), y: strip(frame.top), bottom: to.y - strip(frame.bottom) };
  const first = Math.max(from.x, kept.x);
  for (let y = Math.max(from.y, kept.y); y < kept.bottom && first < kept.right; y++) {
    const row = mask.plane.data.subarray(y * sheet.width + first, y * sheet.width + kept.right);
    data.set(row, (y + frame.top) * width + first + frame.left);
  }
  return { width, height, data };
}

/**
 * @param {Sheet} sheet
 * @returns {Promise<Blob>} an RGB PNG of the control layer on black, as large as the frame
 */
export function controlPicture(sheet) {
  const { frame, control } = sheet;
  if (!control) throw new Error("This canvas has no control layer.");
  const { width, height } = sheet.framed;
  const data = new Uint8Array(width * height * 3);
  const right = Math.min(sheet.width, sheet.width + frame.right);
  const bottom = Math.min(sheet.height, sheet.height + frame.bottom);
  const top = control.isEmpty() ? bottom : Math.max(0, -frame.top);
  for (let y = top; y < bottom; y++) {
    for (let x = Math.max(0, -frame.left); x < right; x++) {
      const word = control.plane.data[y * sheet.width + x];
      const alpha = (word >>> 24) / 255;
      if (!alpha) continue;
      const at = ((y + frame.top) * width + x + frame.left) * 3;
      for (let i = 0; i < 3; i++) data[at + i] = Math.round(((word >>> (8 * i)) & 255) * alpha);
    }
  }
  return png({ width, height, data }, 3);
}
