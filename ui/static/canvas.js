/** The canvas: `safelight.canvas.mount(element, options)` puts a picture, layers to paint on and the tools for it into an element. */

import { composedMask, composedPicture, controlPicture, isUntouched } from "./canvas_compose.js";
import { Easel } from "./canvas_easel.js";
import { CanvasError, readMask, readPicture } from "./canvas_files.js";
import { NO_FRAME, reachesOut } from "./canvas_frame.js";
import { png } from "./canvas_png.js";
import { Sheet } from "./canvas_sheet.js";
import { Outbox, Upload, uploadToStudio } from "./canvas_upload.js";

/**
 * @typedef {import("./canvas_frame.js").Frame} Frame
 * @typedef {import("./canvas_sheet.js").LayerName} LayerName
 * @typedef {"picture" | "upload" | "frame" | "edit" | LayerName} Reason
 * @typedef {{key: string, id: string | null, write: () => Promise<Blob>}} Part
 * @typedef {{reason: Reason, hasPicture: boolean, hasMask: boolean, pictureId: string | null}} Change
 */

/**
 * @typedef {object} Options
 * @property {LayerName[]} [layers]  those offered: "picture" and some of "sketch", "mask", "control"; picture and mask if not given
 * @property {import("./canvas_classes.js").NamedColour[]} [classes]  all the colours that the control layer may have: painted with hard
 *   edges, over a picture that stays
 * @property {(change: Change) => void} [onchange]
 * @property {(blob: Blob) => Promise<string>} [upload]  sends a picture and gives its id
 * @property {() => {width: number, height: number}} [blank]  size of an empty canvas to begin with; without it there are none
 * @property {import("./canvas_keep.js").Shelf} [keep]  where everything is kept until the next visit
 * @property {number} [softness]  0 (hard edges, the mask is black and white) to 1
 * @property {string} [label]
 * @property {string} [hint]  what to do once there is a picture
 */

/** One mounted canvas: pictures in and out. What is done by hand is the easel's. */
export class StudioCanvas extends Easel {
  /**
   * @param {HTMLElement} host
   * @param {Options} options
   */
  constructor(host, options) {
    super(host, { ...options, layers: options.layers ?? ["picture", "mask"] });
    this.send = options.upload ?? uploadToStudio;
    this.outbox = new Outbox(this.send);
    /** @type {Upload | null} */ this.upload = null;
    this.turn = 0;
    /** @type {Promise<boolean>} whether what lay here at the last visit is back */
    this.restored = this.keeper?.restore().catch(() => false) ?? Promise.resolve(false);
    this.refresh();
  }

  /**
   * Shows a picture and begins with empty layers.
   * @param {string | Blob} source
   * @param {string | null} [id]  of the upload, when the studio has the picture already
   * @param {{keepLayers?: boolean, quietly?: boolean}} [how]  keepLayers: keep them if the new picture has the same size
   * @returns {Promise<boolean>} false when it could not be read (said on the canvas) or another picture came first
   */
  async setPicture(source, id = null, { keepLayers = false, quietly = false } = {}) {
    const turn = ++this.turn;
    try {
      const picture = await readPicture(source);
      if (turn !== this.turn) {
        picture.bitmap.close();
        return false;
      }
      this.settle();
      const old = this.stage.sheet;
      const kept = keepLayers && old?.width === picture.width && old.height === picture.height ? old : null;
      this.upload = new Upload(picture.blob, id, this.send);
      kept?.exchange(picture);
      this.stage.show(kept ?? this.sheetOf(picture));
      if (!kept) this.tool.suit(picture, quietly);
      this.say(null);
      if (quietly) this.refresh();
      else this.changed("picture");
      return true;
    } catch (error) {
      if (turn === this.turn) this.complain(error);
      return false;
    }
  }

  /**
   * @param {import("./canvas_files.js").Picture} picture
   * @param {import("./canvas_history.js").History} [history]
   */
  sheetOf(picture, history) {
    return new Sheet(picture, this.options.layers, (name, rect) => (rect ? this.stage.redrawLayer(name, rect) : this.reframe()), history);
  }

  clearPicture() {
    this.turn++;
    if (!this.hasPicture()) return;
    this.settle();
    this.upload = null;
    this.stage.show(null);
    this.changed("picture");
  }

  hasPicture() {
    return this.stage.sheet !== null;
  }

  /** @returns {boolean} whether anything is to be made anew: what is masked, and what the frame adds */
  hasMask() {
    const { sheet } = this.stage;
    return Boolean(sheet?.mask && (!sheet.mask.isEmpty() || reachesOut(sheet.frame)));
  }

  /** @returns {string | null} the studio's id of the picture; null while there is none yet */
  pictureId() {
    return this.upload?.id ?? null;
  }

  /** @returns {Promise<string>} the studio's id of the picture as it came, sent first if need be; throws an Error with one sentence */
  async whenUploaded() {
    if (!this.upload) throw new CanvasError("There is no picture yet.");
    return this.upload.finished();
  }

  /** Sends everything anew when it is next needed, the picture at once: the studio has lost it. */
  resend() {
    this.outbox = new Outbox(this.send);
    if (this.upload) this.upload = new Upload(this.upload.blob, null, this.send);
    return this.whenUploaded();
  }

  /** @returns {Blob | null} the file as it came */
  pictureBlob() {
    return this.stage.picture?.blob ?? null;
  }

  /** @returns {{width: number, height: number} | null} after EXIF rotation */
  pictureSize() {
    const { sheet } = this.stage;
    return sheet && { width: sheet.width, height: sheet.height };
  }

  /** @returns {Frame} pixels beyond each side of the picture; negative ones cut it */
  frame() {
    return { ...(this.stage.sheet?.frame ?? NO_FRAME) };
  }

  /** @returns {{width: number, height: number} | null} of what is exported */
  frameSize() {
    return this.stage.sheet?.framed ?? null;
  }

  /** @returns {Promise<Blob>} picture and sketch as large as the frame, as PNG; the file as it came where there is nothing to add */
  async exportPicture() {
    const sheet = this.#needed("There is no picture yet.");
    this.settle();
    const { blob } = sheet.picture;
    return isUntouched(sheet, this.looks) && blob.type === "image/png" ? blob : composedPicture(sheet, this.looks);
  }

  /** @returns {Promise<Blob>} an 8-bit grayscale PNG as large as the frame: white is repainted, black is kept */
  async exportMask() {
    const sheet = this.#needed("There is no picture to make a mask for.");
    this.settle();
    return png(composedMask(sheet));
  }

  /**
   * @param {"control" | "mask" | "picture"} name
   * @returns {Promise<Blob>} a PNG as large as the frame; the control layer lies on black
   */
  async exportLayer(name) {
    if (name === "mask") return this.exportMask();
    if (name === "picture") return this.exportPicture();
    this.settle();
    return controlPicture(this.#needed("There is no picture to draw over."));
  }

  /** @returns {string} what changes whenever the picture, its sketch or its mask does, also within a stroke; "" without a picture */
  version() {
    const { sheet } = this.stage;
    if (!sheet) return "";
    return JSON.stringify([sheet.stamp, sheet.sketch?.revision, sheet.mask?.revision, sheet.frame, sheet.overlap, this.looks.sketch]);
  }

  /**
   * What there is to send, a stroke that is under way included and left alone. `key` changes whenever what `write` gives does; `id`
   * is the studio's where it has the picture as it came.
   * @param {{width: number, height: number} | null} [size]  that will do: a larger picture is made smaller, to just cover it
   * @returns {{picture: Part, mask: Part | null}} mask: null where there is none
   */
  snapshot(size = null) {
    const sheet = this.#needed("There is no picture yet.");
    const untouched = isUntouched(sheet, this.looks);
    const scale = size ? Math.min(1, Math.max(size.width / sheet.framed.width, size.height / sheet.framed.height)) : 1;
    const own = untouched && scale === 1;
    const mask = { key: this.#maskKey(sheet), id: null, write: () => png(composedMask(sheet)) };
    return {
      picture: {
        key: this.#pictureKey(sheet) + scale,
        id: untouched ? this.pictureId() : null,
        write: () => (own ? Promise.resolve(sheet.picture.blob) : composedPicture(sheet, this.looks, scale)),
      },
      mask: this.hasMask() ? mask : null,
    };
  }

  /** @param {Sheet} sheet */
  #pictureKey(sheet) {
    return JSON.stringify([sheet.stamp, sheet.sketch?.revision ?? 0, sheet.frame, this.looks.sketch]);
  }

  /** @param {Sheet} sheet */
  #maskKey(sheet) {
    return JSON.stringify([sheet.stamp, sheet.mask?.revision, sheet.frame, sheet.overlap]);
  }

  /** @returns {Promise<string>} the studio's id of the composed picture; nothing is sent that the studio has */
  async sendPicture() {
    const sheet = this.#needed("There is no picture yet.");
    this.settle();
    if (isUntouched(sheet, this.looks)) return this.whenUploaded();
    return this.outbox.id("picture", this.#pictureKey(sheet), () => this.exportPicture());
  }

  /** @returns {Promise<string>} the studio's id of the mask */
  async sendMask() {
    const sheet = this.#needed("There is no picture to make a mask for.");
    this.settle();
    return this.outbox.id("mask", this.#maskKey(sheet), () => this.exportMask());
  }

  /** @param {string} sentence  to say where there is no picture */
  #needed(sentence) {
    const { sheet } = this.stage;
    if (!sheet) throw new CanvasError(sentence);
    return sheet;
  }

  /**
   * Takes a mask from a picture file of exactly the picture's size. It can be undone.
   * @param {string | Blob} source
   * @returns {Promise<boolean>}
   */
  async setMask(source) {
    try {
      const { sheet } = this.stage;
      if (!sheet?.mask) throw new CanvasError("Choose a picture before its mask.");
      const bytes = await readMask(source, sheet);
      if (sheet !== this.stage.sheet) return false;
      this.settle();
      sheet.mask.replace(bytes);
      this.changed("mask");
      return true;
    } catch (error) {
      this.complain(error);
      return false;
    }
  }

  /**
   * Goes on with a map that was painted elsewhere.
   * @param {HTMLCanvasElement} paper  as large as the picture
   */
  setControl(paper) {
    const { control } = this.#needed("There is no picture to draw over.");
    const context = /** @type {CanvasRenderingContext2D} */ (paper.getContext("2d"));
    control?.restore(new Uint32Array(context.getImageData(0, 0, paper.width, paper.height).data.buffer));
    this.changed("control");
  }

  /**
   * A picture that the user brought, as opposed to one that the page shows: it is sent to the studio at once.
   * @param {Blob | string} source
   */
  async takePicture(source) {
    if (!(await this.setPicture(source))) return;
    const upload = /** @type {Upload} */ (this.upload);
    try {
      await upload.finished();
      if (upload === this.upload) this.changed("upload");
    } catch (error) {
      if (upload === this.upload) this.complain(error);
    }
  }

  destroy() {
    this.turn++;
    super.destroy();
  }
}

/**
 * @param {HTMLElement} element
 * @param {Options} [options]
 * @returns {StudioCanvas}
 */
export function mount(element, options = {}) {
  return new StudioCanvas(element, options);
}

const global = /** @type {any} */ (window);
global.safelight = global.safelight || {};
global.safelight.canvas = { mount };
window.dispatchEvent(new Event("safelight:canvas"));
