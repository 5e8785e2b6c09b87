/** What the hand holds: brush or eraser, its size for the picture at hand, and whether a pen's pressure counts. */

/** @typedef {import("./canvas_brush.js").Brush} Brush */

const LIGHTEST_PEN = 0.25;
const SMALLEST_LIMIT = 32;
const LARGEST_LIMIT = 600;
const PEN_ERASER = 32;

/** Sizes are diameters in picture pixels. */
export class Tool {
  /** @param {number} softness  0 (hard) to 1 */
  constructor(softness) {
    this.softness = softness;
    this.size = 40;
    this.largest = 100;
    this.erasing = false;
    this.pressure = false;
    this.pen = false;
  }

  /**
   * A tenth of the picture to begin with, half of it at most.
   * @param {{width: number, height: number}} picture
   */
  suit(picture) {
    const side = Math.min(picture.width, picture.height);
    this.largest = Math.min(LARGEST_LIMIT, Math.max(SMALLEST_LIMIT, Math.round(side / 2)));
    this.resize(side / 10);
  }

  /** @param {number} size */
  resize(size) {
    this.size = Math.min(this.largest, Math.max(1, Math.round(size)));
  }

  /** @param {1 | -1} direction */
  step(direction) {
    this.resize(this.size + direction * Math.max(1, Math.round(this.size * 0.15)));
  }

  /**
   * @param {{pointerType?: string, pressure?: number}} event
   * @returns {number}
   */
  sizeFor({ pointerType, pressure }) {
    if (!this.pressure || pointerType !== "pen" || !pressure) return this.size;
    return Math.max(1, Math.round(this.size * (LIGHTEST_PEN + (1 - LIGHTEST_PEN) * pressure)));
  }

  /**
   * @param {PointerEvent} event
   * @returns {Brush} the eraser also when a pen is held upside down
   */
  brushFor(event) {
    return { size: this.sizeFor(event), erase: this.erasing || event.buttons === PEN_ERASER, softness: this.softness };
  }
}
