/** What the hand holds: the tool, its size for the picture at hand, its colour, and whether a pen's pressure counts. */

/**
 * @typedef {import("./canvas_brush.js").Brush} Brush
 * @typedef {"brush" | "eraser" | "lasso" | "rectangle" | "fill" | "eyedropper" | "frame"} Kind
 */

const LIGHTEST_PEN = 0.25;
const SMALLEST_LIMIT = 32;
const LARGEST_LIMIT = 600;
const PEN_ERASER = 32;
const RECENT_COLOURS = 8;
const FIRST_COLOURS = ["#f4ede1", "#15110e", "#b23a1c", "#e0a33a", "#4f7a3c", "#3f7fa8", "#6b4a86", "#c98d6b"];

/** Kinds that lay a region down at once. */
export const REGIONS = ["lasso", "rectangle", "fill"];

/** What is remembered from one visit to the next. */
const KEPT = /** @type {const} */ ([
  "kind", "size", "softness", "opacity", "colour", "recent", "tolerance", "everywhere", "distance", "pressure",
]); // prettier-ignore

/**
 * @param {string} hex  #rrggbb
 * @returns {number} a little-endian word without alpha
 */
export function colourWord(hex) {
  const value = parseInt(hex.slice(1), 16);
  return ((value & 255) << 16) | (value & 0xff00) | (value >> 16);
}

/**
 * @param {number} word
 * @returns {string} #rrggbb
 */
export function colourHex(word) {
  const value = ((word & 255) << 16) | (word & 0xff00) | ((word >> 16) & 255);
  return `#${value.toString(16).padStart(6, "0")}`;
}

/** Sizes are diameters in picture pixels. */
export class Tool {
  /**
   * @param {number} softness  0 (hard) to 1
   * @param {boolean} [exact]  whether colours are never mixed: it stays hard and covers wholly
   */
  constructor(softness, exact = false) {
    this.exact = exact;
    /** @type {Kind} */ this.kind = "brush";
    this.softness = softness;
    this.size = 40;
    this.largest = 100;
    this.opacity = 1;
    this.colour = FIRST_COLOURS[2];
    this.recent = FIRST_COLOURS;
    this.tolerance = exact ? 0 : 24;
    this.everywhere = false;
    this.distance = 8;
    this.subtract = false;
    this.pressure = false;
    this.pen = false;
  }

  /** Whether it takes away. */
  get erasing() {
    return this.kind === "eraser" || (this.subtract && REGIONS.includes(this.kind));
  }

  /** Whether it draws strokes. */
  get strokes() {
    return this.kind === "brush" || this.kind === "eraser";
  }

  /**
   * A tenth of the picture to begin with, half of it at most.
   * @param {{width: number, height: number}} picture
   * @param {boolean} [keep]  keep the size if it is possible
   */
  suit(picture, keep = false) {
    const side = Math.min(picture.width, picture.height);
    this.largest = Math.min(LARGEST_LIMIT, Math.max(SMALLEST_LIMIT, Math.round(side / 2)));
    this.resize(keep ? this.size : side / 10);
  }

  /** @param {number} size */
  resize(size) {
    this.size = Math.min(this.largest, Math.max(1, Math.round(size)));
  }

  /** @param {1 | -1} direction */
  step(direction) {
    this.resize(this.size + direction * Math.max(1, Math.round(this.size * 0.15)));
  }

  /** @param {1 | -1} direction  1: harder */
  harden(direction) {
    if (this.exact) return;
    this.softness = Math.min(1, Math.max(0, Math.round((this.softness - direction * 0.1) * 10) / 10));
  }

  /** @param {string} colour  #rrggbb */
  paintWith(colour) {
    this.colour = colour.toLowerCase();
  }

  /** The colour has been used: it stays at hand. */
  remember() {
    if (this.recent.includes(this.colour)) return;
    this.recent = [this.colour, ...this.recent].slice(0, RECENT_COLOURS);
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
   * @param {{pointerType?: string, pressure?: number, buttons?: number, altKey?: boolean}} event
   * @returns {Brush} the eraser also when a pen is held upside down
   */
  brushFor(event) {
    const erase = this.erasing || event.buttons === PEN_ERASER;
    return { size: this.sizeFor(event), erase, softness: this.softness, colour: colourWord(this.colour), opacity: this.opacity };
  }

  /** @returns {Record<string, any>} */
  kept() {
    return Object.fromEntries(KEPT.map((key) => [key, this[key]]));
  }

  /** @param {Record<string, any>} kept */
  restore(kept) {
    for (const key of KEPT) if (typeof kept?.[key] === typeof this[key]) Object.assign(this, { [key]: kept[key] });
  }
}
