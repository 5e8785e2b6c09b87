/** Files in and out of the canvas: checked and decoded pictures, masks read from pictures, blank pictures to begin with. */

import { png } from "./canvas_png.js";

/**
 * @typedef {object} Picture
 * @property {Blob} blob  the file as it came
 * @property {ImageBitmap} bitmap  after EXIF rotation, like width and height
 * @property {number} width
 * @property {number} height
 * @property {number} leastAlpha  of its most transparent pixel, 0 to 255
 */

const MEGABYTE = 2 ** 20;
const LARGEST_FILE = 64 * MEGABYTE;
const MOST_PIXELS = 40_000_000;
const BAND_ROWS = 256;

/** Pixels below this alpha count as transparent. */
export const HALF_ALPHA = 128;

/** A sentence for the user. */
export class CanvasError extends Error {}

/**
 * @param {string | Blob} source
 * @returns {Promise<Blob>}
 */
async function fetched(source) {
  if (typeof source !== "string") return source;
  const answer = await fetch(source).catch(() => null);
  if (!answer) throw new CanvasError("The picture could not be fetched; is the studio still running?");
  if (!answer.ok) throw new CanvasError("This picture is no longer kept; choose it again.");
  return answer.blob();
}

/**
 * @param {Blob} blob
 * @returns {Promise<string | null>} what the first bytes say it is; null when that is no PNG, JPEG or WebP file
 */
async function kindOf(blob) {
  const head = new Uint8Array(await blob.slice(0, 12).arrayBuffer());
  const text = String.fromCharCode(...head);
  if (text.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (text.startsWith("\xff\xd8\xff")) return "image/jpeg";
  return text.startsWith("RIFF") && text.slice(8) === "WEBP" ? "image/webp" : null;
}

/**
 * Reads width and height without decoding, so that a picture too large to decode is refused and not tried.
 * @param {Blob} blob
 * @returns {Promise<{width: number, height: number} | null>} null when the browser cannot read it
 */
async function sizeOf(blob) {
  const url = URL.createObjectURL(blob);
  try {
    return await new Promise((resolve) => {
      const probe = new Image();
      probe.onload = () => resolve({ width: probe.naturalWidth, height: probe.naturalHeight });
      probe.onerror = () => resolve(null);
      probe.src = url;
    });
  } finally {
    URL.revokeObjectURL(url);
  }
}

/**
 * @param {string | Blob} source
 * @returns {Promise<{blob: Blob, bitmap: ImageBitmap}>}
 */
async function decode(source) {
  let blob = await fetched(source);
  if (blob.size > LARGEST_FILE) throw new CanvasError(`This file is larger than ${LARGEST_FILE / MEGABYTE} MB.`);
  const unreadable = "This file is not a picture that can be read here; use PNG, JPEG or WebP.";
  const kind = await kindOf(blob);
  if (!kind) throw new CanvasError(unreadable);
  if (blob.type !== kind) blob = blob.slice(0, blob.size, kind);
  const size = await sizeOf(blob);
  if (!size) throw new CanvasError(unreadable);
  if (size.width * size.height > MOST_PIXELS) {
    throw new CanvasError(`This picture has ${size.width} × ${size.height} pixels; at most ${MOST_PIXELS / 1e6} million can be used.`);
  }
  try {
    return { blob, bitmap: await createImageBitmap(blob, { imageOrientation: "from-image" }) };
  } catch {
    throw new CanvasError(unreadable);
  }
}

/**
 * Walks over the pixels in bands, so that a large picture is never held as a second full copy.
 * @param {ImageBitmap} bitmap
 * @param {(rgba: Uint8ClampedArray, offset: number) => boolean | void} visit  offset in pixels; true ends the walk
 */
function eachBand(bitmap, visit) {
  const band = document.createElement("canvas");
  band.width = bitmap.width;
  band.height = Math.min(BAND_ROWS, bitmap.height);
  const context = /** @type {CanvasRenderingContext2D} */ (band.getContext("2d", { willReadFrequently: true }));
  context.globalCompositeOperation = "copy";
  for (let top = 0; top < bitmap.height; top += BAND_ROWS) {
    context.drawImage(bitmap, 0, -top);
    const rows = Math.min(BAND_ROWS, bitmap.height - top);
    if (visit(context.getImageData(0, 0, bitmap.width, rows).data, top * bitmap.width)) return;
  }
}

/**
 * @param {ImageBitmap} bitmap
 * @returns {number}
 */
function leastAlpha(bitmap) {
  let least = 255;
  eachBand(bitmap, (rgba) => {
    for (let i = 3; i < rgba.length; i += 4) if (rgba[i] < least) least = rgba[i];
    return least === 0;
  });
  return least;
}

/**
 * Decodes a picture as it should be seen. Throws CanvasError with the reason when it cannot be used.
 * @param {string | Blob} source
 * @returns {Promise<Picture>}
 */
export async function readPicture(source) {
  const { blob, bitmap } = await decode(source);
  const opaque = blob.type === "image/jpeg";
  return { blob, bitmap, width: bitmap.width, height: bitmap.height, leastAlpha: opaque ? 255 : leastAlpha(bitmap) };
}

/**
 * Reads a mask file of exactly the given size: light is 255, dark or transparent is 0.
 * @param {string | Blob} source
 * @param {{width: number, height: number}} size
 * @returns {Promise<Uint8Array>}
 */
export async function readMask(source, { width, height }) {
  const { bitmap } = await decode(source);
  try {
    if (bitmap.width !== width || bitmap.height !== height) {
      throw new CanvasError(
        `The mask has ${bitmap.width} × ${bitmap.height} pixels but the picture has ${width} × ${height}; they must be equal.`,
      );
    }
    const bytes = new Uint8Array(width * height);
    eachBand(bitmap, (rgba, offset) => {
      for (let i = 0, at = offset; i < rgba.length; i += 4, at++) {
        const light = (299 * rgba[i] + 587 * rgba[i + 1] + 114 * rgba[i + 2]) / 1000;
        bytes[at] = (light * rgba[i + 3]) / 255 >= 128 ? 255 : 0;
      }
    });
    return bytes;
  } finally {
    bitmap.close();
  }
}

/**
 * @param {Picture} picture
 * @returns {Uint8Array} 255 where the picture is more transparent than not
 */
export function transparencyMask(picture) {
  const bytes = new Uint8Array(picture.width * picture.height);
  eachBand(picture.bitmap, (rgba, offset) => {
    for (let i = 3, at = offset; i < rgba.length; i += 4, at++) bytes[at] = rgba[i] < HALF_ALPHA ? 255 : 0;
  });
  return bytes;
}

/**
 * @param {number} width
 * @param {number} height
 * @param {number} colour  RGB as a little-endian word
 * @returns {Promise<File>} an empty sheet of paper
 */
export async function blankPicture(width, height, colour) {
  if (!(width >= 1 && height >= 1 && width * height <= MOST_PIXELS)) throw new CanvasError("An empty canvas needs a width and a height.");
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++) data[i] = (colour >>> (8 * (i % 3))) & 255;
  return new File([await png({ width, height, data }, 3)], "Empty canvas", { type: "image/png" });
}
