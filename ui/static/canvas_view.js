/** Where the picture lies on the stage: zoom, pan, fit, and the way from a pointer to a picture pixel. All lengths in device pixels. */

/** @typedef {import("./canvas_brush.js").Point} Point */

const MARGIN = 14;
const ROOM = 0.12;
const MOST_ZOOM = 64;
const SMALL = 256;
const CRISP_FROM = 4;
const WHOLE_ENOUGH = 0.87;
const VISIBLE = 48;

/** Pure geometry; knows nothing of canvases. `scale` is device pixels per picture pixel. */
export class View {
  constructor() {
    this.picture = { width: 0, height: 0 };
    /** How far the frame reaches beyond the picture on each side: it belongs to what is seen. */
    this.beyond = { left: 0, top: 0, right: 0, bottom: 0 };
    this.stage = { width: 0, height: 0 };
    this.ratio = 1;
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.fitted = true;
    /** Whether there is room around what is fitted: to drag the frame into. */
    this.roomy = false;
  }

  /** @param {{width: number, height: number}} size */
  setPicture(size) {
    this.picture = { width: size.width, height: size.height };
    this.beyond = { left: 0, top: 0, right: 0, bottom: 0 };
    this.fit();
  }

  /**
   * @param {import("./canvas_frame.js").Frame} frame
   * @param {boolean} refit  whether a view that is fitted follows the frame now
   */
  setFrame(frame, refit) {
    const out = (/** @type {number} */ value) => Math.max(0, value);
    this.beyond = { left: out(frame.left), top: out(frame.top), right: out(frame.right), bottom: out(frame.bottom) };
    if (refit && this.fitted) this.fit();
  }

  /** Picture and frame together, in picture pixels. */
  get whole() {
    const { left, top, right, bottom } = this.beyond;
    return { x: -left, y: -top, width: this.picture.width + left + right, height: this.picture.height + top + bottom };
  }

  /**
   * Keeps the picture fitted if it was, else keeps what lies in the middle in the middle.
   * @param {number} width
   * @param {number} height
   * @param {number} ratio  device pixels per CSS pixel
   */
  setStage(width, height, ratio) {
    const dx = (width - this.stage.width) / 2;
    const dy = (height - this.stage.height) / 2;
    this.stage = { width, height };
    this.ratio = ratio;
    if (this.fitted) this.fit();
    else this.pan(dx, dy);
  }

  /** The scale at which the whole picture is seen; a whole number for small pictures if that costs little, so that all pixels are equally large. */
  get fitScale() {
    const room = this.roomy ? Math.min(this.stage.width, this.stage.height) * ROOM : 0;
    const margin = 2 * Math.max(MARGIN * this.ratio, room);
    const across = Math.max(1, this.stage.width - margin) / this.whole.width;
    const down = Math.max(1, this.stage.height - margin) / this.whole.height;
    const scale = Math.min(across, down);
    const whole = Math.floor(scale);
    return this.#crispAt(scale) && whole / scale > WHOLE_ENOUGH ? whole : scale;
  }

  fit() {
    if (!this.picture.width || !this.stage.width) return;
    this.scale = this.fitScale;
    const { x, y, width, height } = this.whole;
    this.x = Math.round((this.stage.width - width * this.scale) / 2 - x * this.scale);
    this.y = Math.round((this.stage.height - height * this.scale) / 2 - y * this.scale);
    this.fitted = true;
  }

  /**
   * @param {Point} anchor  stays where it is
   * @param {number} factor
   */
  zoom(anchor, factor) {
    const least = Math.min(this.fitScale, this.ratio) / 2;
    const most = Math.max(this.fitScale, MOST_ZOOM * this.ratio);
    const scale = Math.min(most, Math.max(least, this.scale * factor));
    const applied = scale / this.scale;
    this.x = anchor.x - (anchor.x - this.x) * applied;
    this.y = anchor.y - (anchor.y - this.y) * applied;
    this.scale = scale;
    this.fitted = false;
    this.#keepInSight();
  }

  /**
   * @param {number} dx
   * @param {number} dy
   */
  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.#keepInSight();
  }

  /** One picture pixel is one pixel of the page, around the middle of the stage. */
  actual() {
    this.zoom({ x: this.stage.width / 2, y: this.stage.height / 2 }, this.ratio / this.scale);
  }

  #keepInSight() {
    const reach = VISIBLE * this.ratio;
    const hold = (/** @type {number} */ at, /** @type {number} */ length, /** @type {number} */ room) => {
      const seen = Math.min(reach, length);
      return Math.min(room - seen, Math.max(seen - length, at));
    };
    const { x, y, width, height } = this.whole;
    this.x = hold(this.x + x * this.scale, width * this.scale, this.stage.width) - x * this.scale;
    this.y = hold(this.y + y * this.scale, height * this.scale, this.stage.height) - y * this.scale;
  }

  /** Left edge of the picture as drawn: on a whole device pixel, so that picture and mask never drift apart. */
  get left() {
    return Math.round(this.x);
  }

  /** Top edge of the picture as drawn. */
  get top() {
    return Math.round(this.y);
  }

  /** Whether picture pixels are shown as squares: in small pictures, and where one has gone close. */
  get crisp() {
    return this.#crispAt(this.scale);
  }

  /** @param {number} scale */
  #crispAt(scale) {
    const small = Math.max(this.picture.width, this.picture.height) <= SMALL;
    return scale >= CRISP_FROM * this.ratio || (small && scale > 1);
  }

  /**
   * @param {Point} point  on the stage
   * @returns {Point} in picture pixels, perhaps outside the picture
   */
  toPicture(point) {
    return { x: (point.x - this.left) / this.scale, y: (point.y - this.top) / this.scale };
  }

  /**
   * @param {Point} point  in picture pixels
   * @returns {Point} on the stage
   */
  toStage(point) {
    return { x: point.x * this.scale + this.left, y: point.y * this.scale + this.top };
  }

  /**
   * The whole device pixels that a part of the picture covers, cut to the stage; null when none.
   * @param {import("./canvas_brush.js").Rect} rect  in picture pixels
   * @param {number} [spread]  device pixels added on every side
   * @returns {import("./canvas_brush.js").Rect | null}
   */
  covered(rect, spread = 0) {
    const x = Math.max(0, Math.floor(rect.x * this.scale + this.left) - spread);
    const y = Math.max(0, Math.floor(rect.y * this.scale + this.top) - spread);
    const right = Math.min(this.stage.width, Math.ceil((rect.x + rect.width) * this.scale + this.left) + spread);
    const bottom = Math.min(this.stage.height, Math.ceil((rect.y + rect.height) * this.scale + this.top) + spread);
    return right > x && bottom > y ? { x, y, width: right - x, height: bottom - y } : null;
  }
}
