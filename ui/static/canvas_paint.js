/** Draws a part of the stage: the ground where there is no picture, then the picture and the layers of colour over it. */

/**
 * @typedef {import("./canvas_brush.js").Rect} Rect
 * @typedef {import("./canvas_sheet.js").Sheet} Sheet
 * @typedef {import("./canvas_view.js").View} View
 */

const SMALLEST_COPY = 512;
const CHECK = 8;
const LIGHT = "#8d867c";
const DARK = "#6f6960";
const NEW_GROUND = "rgb(255 93 56 / 30%)";

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Sheet} sheet
 * @param {(ImageBitmap | HTMLCanvasElement)[]} copies  of the picture, each half as large
 * @param {import("./canvas_compose.js").Looks} looks
 * @param {View} view
 * @param {Rect} area  in device pixels
 */
export function paintLayers(context, sheet, copies, looks, view, area) {
  context.save();
  context.beginPath();
  context.rect(area.x, area.y, area.width, area.height);
  context.clip();
  context.clearRect(area.x, area.y, area.width, area.height);
  context.imageSmoothingEnabled = !view.crisp;
  ground(context, sheet, looks, view);
  const level = levelFor(view, copies.length);
  if (looks.picture.shown) paintCopy(context, copies[level], looks.picture.opacity, view, area);
  for (const [layer, look] of /** @type {const} */ ([
    [sheet.sketch, looks.sketch],
    [sheet.control, looks.control],
  ])) {
    const own = look?.shown ? layer?.copies : null;
    if (own) paintCopy(context, own.at(levelFor(view, own.length)), look.opacity, view, area);
  }
  if (sheet.mask && looks.mask.shown) overlaps(context, sheet, view);
  context.restore();
}

/**
 * The strips of the picture that are made anew along with what the frame adds.
 * @param {CanvasRenderingContext2D} context
 * @param {Sheet} sheet
 * @param {View} view
 */
function overlaps(context, { width, height, frame, overlap }, { left, top, scale }) {
  context.fillStyle = NEW_GROUND;
  const across = Math.min(overlap, width);
  const down = Math.min(overlap, height);
  const strip = (/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ wide, /** @type {number} */ high) =>
    context.fillRect(left + x * scale, top + y * scale, wide * scale, high * scale);
  if (frame.left > 0) strip(0, 0, across, height);
  if (frame.right > 0) strip(width - across, 0, across, height);
  if (frame.top > 0) strip(0, 0, width, down);
  if (frame.bottom > 0) strip(0, height - down, width, down);
}

/**
 * A chequered ground where something is transparent, black under a map, which lies on black when it is sent; where the frame reaches out, it glows faintly: that is to be made.
 * @param {CanvasRenderingContext2D} context
 * @param {Sheet} sheet
 * @param {import("./canvas_compose.js").Looks} looks
 * @param {View} view
 */
function ground(context, { picture, width, height, mask, control }, looks, view) {
  const { left, top, scale } = view;
  const { x, y, ...whole } = view.whole;
  const reaches = whole.width > width || whole.height > height;
  const opaque = picture.leastAlpha === 255 && looks.picture.shown && looks.picture.opacity === 1;
  if (opaque && !reaches) return;
  const from = { x: Math.round(left + x * scale), y: Math.round(top + y * scale) };
  const lay = () => context.fillRect(from.x, from.y, Math.round(whole.width * scale), Math.round(whole.height * scale));
  context.fillStyle = control ? "#000" : chequer(context, view);
  lay();
  if (!reaches || !mask) return;
  context.fillStyle = NEW_GROUND;
  lay();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {View} view
 */
function chequer(context, view) {
  const side = Math.round(CHECK * view.ratio);
  const tile = document.createElement("canvas");
  tile.width = tile.height = 2 * side;
  const brush = /** @type {CanvasRenderingContext2D} */ (tile.getContext("2d"));
  brush.fillStyle = DARK;
  brush.fillRect(0, 0, 2 * side, 2 * side);
  brush.fillStyle = LIGHT;
  brush.fillRect(0, 0, side, side);
  brush.fillRect(side, side, side, side);
  const pattern = /** @type {CanvasPattern} */ (context.createPattern(tile, "repeat"));
  pattern.setTransform(new DOMMatrix().translate(view.left, view.top));
  return pattern;
}

/**
 * @param {View} view
 * @param {number} count
 * @returns {number} the smallest copy that is still as sharp as the screen
 */
function levelFor(view, count) {
  let level = 0;
  while (level + 1 < count && view.scale * 2 ** (level + 1) <= 1) level++;
  return level;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {ImageBitmap | HTMLCanvasElement} copy
 * @param {number} opacity
 * @param {View} view
 * @param {Rect} area
 */
function paintCopy(context, copy, opacity, view, area) {
  const across = (view.picture.width * view.scale) / copy.width;
  const down = (view.picture.height * view.scale) / copy.height;
  // Only what is asked for is drawn, cut at whole source pixels so that nothing shifts.
  const x = Math.max(0, Math.floor((area.x - view.left) / across) - 1);
  const y = Math.max(0, Math.floor((area.y - view.top) / down) - 1);
  const right = Math.min(copy.width, Math.ceil((area.x + area.width - view.left) / across) + 1);
  const bottom = Math.min(copy.height, Math.ceil((area.y + area.height - view.top) / down) + 1);
  if (right <= x || bottom <= y) return;
  context.globalAlpha = opacity;
  const [width, height] = [right - x, bottom - y];
  context.drawImage(copy, x, y, width, height, view.left + x * across, view.top + y * down, width * across, height * down);
  context.globalAlpha = 1;
}

/**
 * The picture and smaller and smaller copies: each half as large, so that zooming out of a large picture is smooth and quick.
 * @param {ImageBitmap} bitmap
 * @returns {(ImageBitmap | HTMLCanvasElement)[]}
 */
export function halvings(bitmap) {
  /** @type {(ImageBitmap | HTMLCanvasElement)[]} */
  const copies = [bitmap];
  for (let last = copies[0]; Math.max(last.width, last.height) > 2 * SMALLEST_COPY; last = copies[copies.length - 1]) {
    const copy = document.createElement("canvas");
    copy.width = Math.ceil(last.width / 2);
    copy.height = Math.ceil(last.height / 2);
    copy.getContext("2d")?.drawImage(last, 0, 0, copy.width, copy.height);
    copies.push(copy);
  }
  return copies;
}
