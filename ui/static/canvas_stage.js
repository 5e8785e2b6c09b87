/** The stage: a canvas with picture and colours, one with the mask's veil, a brush ring; draws once per frame and only what changed. */

import { snap } from "./canvas_brush.js";
import { union } from "./canvas_colour.js";
import { Marks } from "./canvas_marks.js";
import { paintOverlay } from "./canvas_overlay.js";
import { halvings, paintLayers } from "./canvas_paint.js";
import { View } from "./canvas_view.js";

/**
 * @typedef {import("./canvas_brush.js").Point} Point
 * @typedef {import("./canvas_brush.js").Rect} Rect
 * @typedef {import("./canvas_sheet.js").Sheet} Sheet
 */

const FLASH_MS = 900;

/** Owns the pixels on screen. */
export class Stage {
  /** @param {import("./canvas_compose.js").Looks} looks  which layers are seen, and how strongly */
  constructor(looks) {
    this.view = new View();
    this.looks = looks;
    this.element = document.createElement("div");
    this.element.className = "sl-painter-stage";
    this.element.tabIndex = 0;
    this.lower = document.createElement("canvas");
    this.upper = document.createElement("canvas");
    this.upper.className = "sl-painter-overlay";
    this.ring = document.createElement("div");
    this.ring.className = "sl-painter-ring";
    this.ring.hidden = true;
    this.marks = new Marks();
    this.element.append(this.lower, this.upper, this.marks.frame, this.marks.lines, this.ring);
    this.below = /** @type {CanvasRenderingContext2D} */ (this.lower.getContext("2d"));
    this.above = /** @type {CanvasRenderingContext2D} */ (this.upper.getContext("2d"));
    /** @type {Sheet | null} */ this.sheet = null;
    /** @type {ImageBitmap | null} */ this.bitmap = null;
    /** @type {(ImageBitmap | HTMLCanvasElement)[]} */ this.copies = [];
    this.request = 0;
    this.flash = 0;
    this.stale = false;
    /** @type {Rect | null} */ this.dirty = null;
    /** @type {Rect | null} */ this.dirtyMask = null;
    /** What drawing has cost so far: frames, and device pixels painted in both canvases. */
    this.work = { frames: 0, below: 0, above: 0 };
    this.onview = () => {};
    this.watcher = new ResizeObserver(() => this.#measure());
    this.watcher.observe(this.element);
  }

  get picture() {
    return this.sheet?.picture ?? null;
  }

  /**
   * @param {Sheet | null} sheet
   * @param {boolean} [back]  whether what was shown may come back: then the stage keeps its shape too
   */
  show(sheet, back = false) {
    const bitmap = sheet?.picture.bitmap ?? null;
    if (this.bitmap !== bitmap && !back) this.bitmap?.close();
    if (this.bitmap !== bitmap) this.copies = bitmap ? halvings(bitmap) : [];
    this.bitmap = bitmap;
    this.sheet = sheet;
    this.ring.hidden = true;
    this.marks.line(null, this.view);
    if (sheet) {
      if (!back) this.element.style.setProperty("--sl-painter-ratio", `${sheet.width} / ${sheet.height}`);
      this.view.setPicture(sheet);
      this.view.setFrame(sheet.frame, true);
    }
    this.redraw();
  }

  /** Draws everything in the next frame. */
  redraw() {
    this.stale = true;
    this.#ask();
  }

  /**
   * Draws a changed part of a layer in the next frame.
   * @param {string} name
   * @param {Rect} rect  in picture pixels
   */
  redrawLayer(name, rect) {
    if (name === "mask") this.dirtyMask = union(this.dirtyMask, rect);
    else this.dirty = union(this.dirty, rect);
    this.#ask();
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
   * @param {number} [softness]  0 to 1; the inner ring is where the brush begins to fade
   */
  showRing(point, size = 1, softness = 0) {
    clearTimeout(this.flash);
    this.ring.hidden = !point || !this.picture || !size;
    if (!point || !size) return;
    const { ratio, scale } = this.view;
    const centre = this.view.toStage(snap(this.view.toPicture(point), size));
    const shown = scale >= 1 ? centre : point;
    const diameter = Math.max(4, (size * scale) / ratio);
    this.ring.style.width = this.ring.style.height = `${diameter}px`;
    this.ring.style.transform = `translate(${shown.x / ratio - diameter / 2}px, ${shown.y / ratio - diameter / 2}px)`;
    this.ring.style.setProperty("--sl-painter-core", `${(diameter / 2) * softness}px`);
    this.ring.classList.toggle("sl-painter-soft", softness > 0.02 && diameter > 16);
  }

  /**
   * Shows the ring for a moment, where no pointer would hide it again.
   * @param {Point} point  on the stage
   * @param {number} size  in picture pixels
   * @param {number} softness
   */
  flashRing(point, size, softness) {
    this.showRing(point, size, softness);
    this.flash = window.setTimeout(() => this.showRing(null), FLASH_MS);
  }

  destroy() {
    clearTimeout(this.flash);
    cancelAnimationFrame(this.request);
    this.watcher.disconnect();
    this.bitmap?.close();
    this.sheet = this.bitmap = null;
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

  #ask() {
    this.request ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    cancelAnimationFrame(this.request);
    this.request = 0;
    const { stale, dirty, dirtyMask, sheet } = this;
    this.stale = false;
    this.dirty = this.dirtyMask = null;
    this.work.frames++;
    if (stale) {
      this.above.clearRect(0, 0, this.upper.width, this.upper.height);
      this.below.clearRect(0, 0, this.lower.width, this.lower.height);
      this.marks.place(sheet, this.view);
      this.onview();
    }
    if (!sheet) return;
    this.#drawBelow(sheet, stale ? { x: 0, y: 0, width: this.lower.width, height: this.lower.height } : this.#around(dirty));
    this.upper.style.opacity = String(this.looks.mask.shown ? this.looks.mask.opacity : 0);
    const area = this.#around(stale ? (sheet.mask?.bounds() ?? null) : dirtyMask);
    if (!sheet.mask || !area) return;
    this.work.above += area.width * area.height;
    paintOverlay(this.above, sheet.mask, this.view, area);
  }

  /**
   * @param {Sheet} sheet
   * @param {Rect | null} area
   */
  #drawBelow(sheet, area) {
    if (!area) return;
    this.work.below += area.width * area.height;
    paintLayers(this.below, sheet, this.copies, this.looks, this.view, area);
  }

  /**
   * @param {Rect | null} part  in picture pixels
   * @returns {Rect | null} in device pixels
   */
  #around(part) {
    return part && this.view.covered(part, 1 + Math.ceil(this.view.ratio));
  }
}
