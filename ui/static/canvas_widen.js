/** Makes the paper as large as the frame when someone sketches beyond the picture; one step of the history. */

import { composedMask, composedPicture } from "./canvas_compose.js";
import { readPicture } from "./canvas_files.js";
import { framedSize } from "./canvas_frame.js";
import { Upload } from "./canvas_upload.js";

/**
 * @typedef {import("./canvas.js").StudioCanvas} StudioCanvas
 * @typedef {import("./canvas_brush.js").Point} Point
 * @typedef {import("./canvas_sheet.js").Sheet} Sheet
 */

/**
 * @param {Sheet | null} sheet
 * @param {Point} point  in picture pixels
 * @returns {boolean} whether it lies in what the frame adds to the picture
 */
export function isBeyond(sheet, { x, y }) {
  if (!sheet || (x >= 0 && y >= 0 && x < sheet.width && y < sheet.height)) return false;
  const { left, top, right, bottom } = sheet.frame;
  return x >= -left && y >= -top && x < sheet.width + right && y < sheet.height + bottom;
}

/**
 * The picture gets transparent paper where the frame reaches out, and the mask covers it: what is asked for stays the same.
 * @param {StudioCanvas} canvas
 * @returns {Promise<Point | null>} how far the picture has moved on its paper; null when something else came first
 */
export async function widen(canvas) {
  const { stage } = canvas;
  const old = /** @type {Sheet} */ (stage.sheet);
  const blob = await composedPicture(old, { ...canvas.looks, sketch: { shown: false, opacity: 0 } });
  const name = /** @type {File} */ (old.picture.blob).name ?? "";
  const picture = await readPicture(new File([blob], name, { type: blob.type }));
  if (stage.sheet !== old) return null;
  const sheet = canvas.sheetOf(picture, old.history);
  sheet.mask?.restore(composedMask(old).data);
  if (old.sketch && !old.sketch.isEmpty()) sheet.sketch?.restore(laid(old));
  const by = { x: old.frame.left, y: old.frame.top };
  const step = exchange(canvas, sheet, new Upload(picture.blob, null, canvas.send), by);
  step.swap();
  old.history.keep(step);
  canvas.changed("picture");
  return by;
}

/**
 * @param {StudioCanvas} canvas
 * @param {Sheet} sheet  that takes the place of the one that is there
 * @param {Upload} upload
 * @param {Point} by  how far the picture moves on its paper
 * @returns {import("./canvas_history.js").Step}
 */
function exchange(canvas, sheet, upload, by) {
  const { stage } = canvas;
  let other = { sheet, upload, by };
  const swap = () => {
    const back = { x: -other.by.x, y: -other.by.y };
    const mine = { sheet: /** @type {Sheet} */ (stage.sheet), upload: /** @type {Upload} */ (canvas.upload), by: back };
    const { fitted, scale, x, y } = stage.view;
    canvas.upload = other.upload;
    stage.show(other.sheet, true);
    if (!fitted) Object.assign(stage.view, { fitted, scale, x: x - other.by.x * scale, y: y - other.by.y * scale });
    other = mine;
    void told(canvas);
  };
  return { swap, bytes: sheet.width * sheet.height * 9 }; // bitmap, sketch and mask
}

/**
 * The page hears which picture lies here now, once the studio has it.
 * @param {StudioCanvas} canvas
 */
async function told(canvas) {
  const { upload } = canvas;
  try {
    await upload?.finished();
    if (upload === canvas.upload) canvas.changed("upload");
  } catch (error) {
    canvas.complain(error);
  }
}

/**
 * @param {Sheet} sheet
 * @returns {Uint32Array} its sketch on paper as large as the frame
 */
function laid(sheet) {
  const { frame, sketch, width, height } = sheet;
  const size = framedSize(sheet, frame);
  const words = new Uint32Array(size.width * size.height);
  const first = Math.max(0, -frame.left);
  const last = Math.min(width, width + frame.right);
  for (let y = Math.max(0, -frame.top); y < Math.min(height, height + frame.bottom); y++) {
    const row = /** @type {{plane: {data: Uint32Array}}} */ (sketch).plane.data.subarray(y * width + first, y * width + last);
    words.set(row, (y + frame.top) * size.width + first + frame.left);
  }
  return words;
}
