/** The stage: a picture canvas below, an overlay canvas above, a brush ring on top; draws at most once per frame and only what changed. */

import { paintOverlay } from "./canvas_overlay.js";
import { snap } from "./canvas_brush.js";
import { View } from "./canvas_view.js";

/**
 * @typedef {import("./canvas_brush.js").Point} Point
 * @typedef {import("./canvas_brush.js").Rect} Rect
 * @typedef {import("./canvas_files.js").Picture} Picture
 * @typedef {import("./canvas_mask.js").Mask} Mask
 */

const SMALLEST_COPY = 512;
const FLASH_MS = 900;

/** Owns the pixels on screen. */
export class Stage {
  constructor() {
    this.view = new View();
    this.element = document.createElement("div");
    this.element.className = "sl-painter-stage";
    this.element.tabIndex = 0;
    this.lower = document.createElement("canvas");
    this.upper = document.createElement("canvas");
    this.upper.className = "sl-painter-overlay";
    this.ring = document.createElement("div");
    this.ring.className = "sl-painter-ring";
    this.ring.hidden = true;
    this.element.append(this.lower, this.upper, this.ring);
    this.below = /** @type {CanvasRenderingContext2D} */ (this.lower.getContext("2d"));
    this.above = /** @type {CanvasRenderingContext2D} */ (this.upper.getContext("2d"));
    /** @type {Picture | null} */ this.picture = null;
    /** @type {Mask | null} */ this.mask = null;
    /** @type {(ImageBitmap | HTMLCanvasElement)[]} */ this.copies = [];
    this.frame = 0;
    this.flash = 0;
    this.stale = false;
    /** @type {Rect | null} */ this.dirty = null;
    this.watcher = new ResizeObserver(() => this.#measure());
    this.watcher.observe(this.element);
  }

  /**
   * @param {Picture | null} picture
   * @param {Mask | null} mask
   */
  show(picture, mask) {
    if (this.picture && this.picture !== picture) this.picture.bitmap.close();
    this.picture = picture;
    this.mask = mask;
    this.copies = picture ? halvings(picture.bitmap) : [];
    this.ring.hidden = true;
    if (picture) {
      this.element.style.setProperty("--sl-painter-ratio", `${picture.width} / ${picture.height}`);
      this.view.setPicture(picture);
    }
    this.redraw();
  }

  /** Draws everything in the next frame. */
  redraw() {
    this.stale = true;
    this.#request();
  }

  /**
   * Draws a changed part of the mask in the next frame.
   * @param {Rect} rect  in picture pixels
   */
  redrawMask(rect) {
    const d = this.dirty;
    const x = d ? Math.min(d.x, rect.x) : rect.x;
    const y = d ? Math.min(d.y, rect.y) : rect.y;
    const right = Math.max(rect.x + rect.width, d ? d.x + d.width : 0);
    const bottom = Math.max(rect.y + rect.height, d ? d.y + d.height : 0);
    this.dirty = { x, y, width: right - x, height: bottom - y };
    this.#request();
  }

  /**
   * @param {{clientX: number, clientY: number}} event
   * @returns {Point} on the stage, in device pixels
   */
  locate(event) {
    const box = this.upper.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) * this.upper.width) / box.width,
      y: ((event.clientY - box.top) * this.upper.height) / box.height,
    };
  }

  /**
   * Shows how much the brush would cover at this place, or hides the ring.
   * @param {Point | null} point  on the stage
   * @param {number} [size]  in picture pixels
   */
  showRing(point, size = 1) {
    clearTimeout(this.flash);
    this.ring.hidden = !point || !this.picture;
    if (!point) return;
    const { ratio, scale } = this.view;
    const centre = this.view.toStage(snap(this.view.toPicture(point), size));
    const shown = scale >= 1 ? centre : point;
    const diameter = Math.max(4, (size * scale) / ratio);
    this.ring.style.width = this.ring.style.height = `${diameter}px`;
    this.ring.style.transform = `translate(${shown.x / ratio - diameter / 2}px, ${shown.y / ratio - diameter / 2}px)`;
  }

  /**
   * Shows the ring for a moment, where no pointer would hide it again.
   * @param {Point} point  on the stage
   * @param {number} size  in picture pixels
   */
  flashRing(point, size) {
    this.showRing(point, size);
    this.flash = window.setTimeout(() => this.showRing(null), FLASH_MS);
  }

  destroy() {
    clearTimeout(this.flash);
    cancelAnimationFrame(this.frame);
    this.watcher.disconnect();
    this.picture?.bitmap.close();
    this.picture = this.mask = null;
    this.copies = [];
    this.element.remove();
  }

  #measure() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(this.element.clientWidth * ratio);
    const height = Math.round(this.element.clientHeight * ratio);
    if (!width || !height || (width === this.lower.width && height === this.lower.height && ratio === this.view.ratio)) return;
    for (const canvas of [this.lower, this.upper]) {
      canvas.width = width;
      canvas.height = height;
    }
    this.view.setStage(width, height, ratio);
    // Resizing has wiped both canvases: draw in this frame, not one later, or the picture would blink.
    this.stale = true;
    this.#draw();
  }

  #request() {
    this.frame ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { stale, dirty } = this;
    this.stale = false;
    this.dirty = null;
    if (stale) {
      this.below.clearRect(0, 0, this.lower.width, this.lower.height);
      this.above.clearRect(0, 0, this.upper.width, this.upper.height);
      if (this.picture) this.#drawPicture(this.picture);
    }
    const part = stale ? this.mask?.bounds() : dirty;
    if (!this.mask || !part) return;
    const area = this.view.covered(part, 1 + Math.ceil(this.view.ratio));
    if (area) paintOverlay(this.above, this.mask, this.view, area);
  }

  /** @param {Picture} picture */
  #drawPicture(picture) {
    const { view, below } = this;
    let level = 0;
    while (level + 1 < this.copies.length && view.scale * 2 ** (level + 1) <= 1) level++;
    const copy = this.copies[level];
    const scale = (picture.width * view.scale) / copy.width;
    const down = (picture.height * view.scale) / copy.height;
    // Only what is in sight is drawn, cut at whole source pixels so that nothing shifts.
    const x = Math.max(0, Math.floor(-view.left / scale) - 1);
    const y = Math.max(0, Math.floor(-view.top / down) - 1);
    const right = Math.min(copy.width, Math.ceil((view.stage.width - view.left) / scale) + 1);
    const bottom = Math.min(copy.height, Math.ceil((view.stage.height - view.top) / down) + 1);
    if (right <= x || bottom <= y) return;
    const target = [view.left + x * scale, view.top + y * down, (right - x) * scale, (bottom - y) * down];
    below.imageSmoothingEnabled = !view.crisp;
    if (picture.leastAlpha < 255) {
      // The engine, too, lays transparent pictures over white.
      below.fillStyle = "#fff";
      below.fillRect(target[0], target[1], target[2], target[3]);
    }
    below.drawImage(copy, x, y, right - x, bottom - y, target[0], target[1], target[2], target[3]);
  }
}

/**
 * The picture and smaller and smaller copies: each half as large, so that zooming out of a large picture is smooth and quick.
 * @param {ImageBitmap} bitmap
 * @returns {(ImageBitmap | HTMLCanvasElement)[]}
 */
function halvings(bitmap) {
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
