/** The mask painter: `safelight.canvas.mount(element, options)` puts a picture, its mask and the tools for it into an element. */

import { CARET_HELP, followKeyboard } from "./canvas_caret.js";
import { CanvasError, HALF_ALPHA, grayscalePng, readMask, readPicture } from "./canvas_files.js";
import { Gestures } from "./canvas_input.js";
import { listenForKeys } from "./canvas_keys.js";
import { Mask } from "./canvas_mask.js";
import { emptyState, receivePictures } from "./canvas_sources.js";
import { Stage } from "./canvas_stage.js";
import { Tool } from "./canvas_tool.js";
import { Toolbar } from "./canvas_toolbar.js";
import { Upload, uploadToStudio } from "./canvas_upload.js";
import { choosePicture, keyActions, painter, receiver, toolActions } from "./canvas_wiring.js";

/**
 * @typedef {import("./canvas_brush.js").Point} Point
 * @typedef {{reason: "picture" | "mask" | "upload", hasPicture: boolean, hasMask: boolean, pictureId: string | null}} Change
 */

/**
 * @typedef {object} Options
 * @property {(change: Change) => void} [onchange]
 * @property {(sentence: string) => void} [onerror]  without it the sentence is shown in the canvas
 * @property {(blob: Blob) => Promise<string>} [upload]  sends a picture that the user chose and gives its id
 * @property {number} [softness]  0 (hard edges, the mask is black and white) to 1
 * @property {string} [label]
 */

/** One mounted canvas. */
export class MaskCanvas {
  /**
   * @param {HTMLElement} host
   * @param {Options} options
   */
  constructor(host, options) {
    this.options = options;
    this.tool = new Tool(options.softness ?? 0);
    /** @type {Upload | null} */ this.upload = null;
    this.turn = 0;
    this.ending = new AbortController();
    const { signal } = this.ending;

    this.root = document.createElement("section");
    this.root.className = "sl-painter";
    this.root.setAttribute("aria-label", options.label ?? "Mask painter");
    this.stage = new Stage();
    this.stage.element.setAttribute("role", "application");
    this.toolbar = new Toolbar(toolActions(this));
    this.notice = document.createElement("p");
    this.notice.className = "sl-painter-notice";
    this.notice.setAttribute("role", "alert");
    this.notice.hidden = true;
    this.stage.element.append(emptyState(() => choosePicture(this)));
    this.root.append(this.toolbar.element, this.stage.element, this.notice);
    host.append(this.root);

    this.gestures = new Gestures(this.stage, painter(this), signal);
    listenForKeys(this.root, this.stage.element, () => this.hasPicture(), keyActions(this), signal);
    followKeyboard(this, signal);
    receivePictures(this.root, this.stage.element, receiver(this), signal);
    this.refresh();
  }

  /**
   * Shows a picture and begins with an empty mask.
   * @param {string | Blob} source
   * @param {string | null} [id]  of the upload, when the studio has the picture already
   * @param {{keepMask?: boolean}} [how]  keepMask: keep the mask if the new picture has the same size
   * @returns {Promise<boolean>} false when it could not be read (said through onerror) or another picture came first
   */
  async setPicture(source, id = null, { keepMask = false } = {}) {
    const turn = ++this.turn;
    try {
      const picture = await readPicture(source);
      if (turn !== this.turn) {
        picture.bitmap.close();
        return false;
      }
      this.settle();
      const old = this.stage.mask;
      const kept = keepMask && old && old.width === picture.width && old.height === picture.height;
      const mask = kept ? old : new Mask(picture.width, picture.height, (rect) => this.stage.redrawMask(rect));
      this.upload = new Upload(picture.blob, id, this.options.upload ?? uploadToStudio);
      if (!kept) this.tool.suit(picture);
      this.stage.show(picture, mask);
      this.#say(null);
      this.changed("picture");
      return true;
    } catch (error) {
      if (turn === this.turn) this.#complain(error);
      return false;
    }
  }

  clearPicture() {
    this.turn++;
    if (!this.hasPicture()) return;
    this.settle();
    this.upload = null;
    this.stage.show(null, null);
    this.changed("picture");
  }

  hasPicture() {
    return this.stage.picture !== null;
  }

  hasMask() {
    return this.stage.mask !== null && !this.stage.mask.isEmpty();
  }

  /** @returns {string | null} the studio's id of the picture; null while there is none yet */
  pictureId() {
    return this.upload?.id ?? null;
  }

  /** @returns {Promise<string>} the studio's id of the picture, sending it first if need be; throws an Error with one sentence */
  async whenUploaded() {
    if (!this.upload) throw new CanvasError("There is no picture yet.");
    return this.upload.finished();
  }

  /** @returns {Blob | null} the file as it came */
  pictureBlob() {
    return this.stage.picture?.blob ?? null;
  }

  /** @returns {{width: number, height: number} | null} after EXIF rotation */
  pictureSize() {
    const { picture } = this.stage;
    return picture && { width: picture.width, height: picture.height };
  }

  /** @returns {Promise<Blob>} an 8-bit grayscale PNG as large as the picture: white is repainted, black is kept */
  async exportMask() {
    if (!this.stage.mask) throw new CanvasError("There is no picture to make a mask for.");
    this.settle();
    return grayscalePng(this.stage.mask.levels[0]);
  }

  /**
   * Takes a mask from a picture file of exactly the picture's size. It can be undone.
   * @param {string | Blob} source
   * @returns {Promise<boolean>}
   */
  async setMask(source) {
    try {
      const { mask } = this.stage;
      if (!mask) throw new CanvasError("Choose a picture before its mask.");
      const bytes = await readMask(source, mask);
      if (mask !== this.stage.mask) return false;
      this.edit(() => mask.replace(bytes));
      this.#say(null);
      return true;
    } catch (error) {
      this.#complain(error);
      return false;
    }
  }

  invert() {
    this.edit((mask) => mask.invert());
  }

  clear() {
    this.edit((mask) => mask.clear());
  }

  undo() {
    this.edit((mask) => mask.undo());
  }

  redo() {
    this.edit((mask) => mask.redo());
  }

  fit() {
    this.stage.view.fit();
    this.stage.redraw();
  }

  focus() {
    this.stage.element.focus();
  }

  /** Takes everything out of the page and stops listening. */
  destroy() {
    this.turn++;
    this.ending.abort();
    this.stage.destroy();
    this.root.remove();
  }

  /** Ends the stroke that may be under way. */
  settle() {
    if (this.stage.mask?.endStroke()) this.changed("mask");
  }

  /** @param {(mask: Mask) => void} change */
  edit(change) {
    const { mask } = this.stage;
    if (!mask) return;
    this.settle();
    change(mask);
    this.changed("mask");
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
      if (upload === this.upload) this.#complain(error);
    }
  }

  /** @param {unknown} error */
  #complain(error) {
    if (!(error instanceof Error)) throw error;
    if (this.options.onerror) this.options.onerror(error.message);
    else this.#say(error.message);
  }

  /** @param {string | null} sentence */
  #say(sentence) {
    this.notice.textContent = sentence ?? "";
    this.notice.hidden = !sentence;
  }

  /** @param {Change["reason"]} reason */
  changed(reason) {
    this.refresh();
    this.options.onchange?.({ reason, hasPicture: this.hasPicture(), hasMask: this.hasMask(), pictureId: this.pictureId() });
  }

  refresh() {
    const { picture, mask, element } = this.stage;
    this.root.classList.toggle("sl-painter-filled", picture !== null);
    element.setAttribute("aria-description", picture ? CARET_HELP : "");
    element.setAttribute("aria-label", picture ? `Picture, ${picture.width} by ${picture.height} pixels` : "No picture yet");
    this.toolbar.update({
      picture: picture !== null,
      tool: this.tool,
      canUndo: (mask?.history.done.length ?? 0) > 0,
      canRedo: (mask?.history.undone.length ?? 0) > 0,
      masked: this.hasMask(),
      transparent: (picture?.leastAlpha ?? 255) < HALF_ALPHA,
    });
  }
}

/**
 * @param {HTMLElement} element
 * @param {Options} [options]
 * @returns {MaskCanvas}
 */
export function mount(element, options = {}) {
  return new MaskCanvas(element, options);
}

const global = /** @type {any} */ (window);
global.safelight = global.safelight || {};
global.safelight.canvas = { mount };
window.dispatchEvent(new Event("safelight:canvas"));
