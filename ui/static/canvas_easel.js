/** What is done by hand on the canvas: tools and layers in use, strokes and fills, the frame, the way back. */

import { buildCanvas } from "./canvas_build.js";
import { seenColour } from "./canvas_compose.js";
import { maskEdits, poured } from "./canvas_edits.js";
import { HALF_ALPHA } from "./canvas_files.js";
import { settled } from "./canvas_frame.js";
import { Tool, colourHex } from "./canvas_tool.js";

/**
 * @typedef {import("./canvas.js").Options} Options
 * @typedef {import("./canvas_brush.js").Point} Point
 * @typedef {import("./canvas_frame.js").Frame} Frame
 * @typedef {import("./canvas_frame.js").Side} Side
 * @typedef {import("./canvas_sheet.js").LayerName} LayerName
 */

/** @type {LayerName[]} */
const PAINTED = ["mask", "sketch", "control"];
const MOST_OVERLAP = 512;

const seen = () => ({ shown: true, opacity: 1 });

/** The half of a canvas that pointers, keys and buttons act on; `StudioCanvas` adds where pictures come from and go to. */
export class Easel {
  /**
   * @param {HTMLElement} host
   * @param {Options & {layers: LayerName[]}} options
   */
  constructor(host, options) {
    this.options = options;
    this.tool = new Tool(options.softness ?? 0, Boolean(options.classes));
    /** @type {Record<LayerName, {shown: boolean, opacity: number}>} */
    this.looks = { picture: seen(), sketch: seen(), mask: seen(), control: seen() };
    /** @type {LayerName} */ this.active = PAINTED.find((name) => options.layers.includes(name)) ?? "picture";
    this.framing = false;
    this.ending = new AbortController();
    /** @param {unknown} error */
    this.complain = (error) => {
      if (!(error instanceof Error)) throw error;
      this.say(error.message);
    };
    this.edits = maskEdits(/** @type {any} */ (this));
    Object.assign(this, buildCanvas(/** @type {any} */ (this), host, this.ending.signal));
  }

  // -- layers ---------------------------------------------------------------------------------------------------------

  /** @returns {boolean} whether a layer of colour is painted on */
  coloured() {
    return this.active === "sketch" || this.active === "control";
  }

  /** @returns {boolean} whether the picture has transparent parts */
  isTransparent() {
    return (this.stage.picture?.leastAlpha ?? 255) < HALF_ALPHA;
  }

  /** The layer to paint on, seen from now on; null where there is none. */
  paintable() {
    const layer = this.stage.sheet?.layer(this.active) ?? null;
    if (layer && !this.looks[this.active].shown) this.look(this.active, { shown: true });
    return layer;
  }

  /** @param {LayerName} name */
  activate(name) {
    if (!this.options.layers.includes(name)) return;
    this.settle();
    this.active = name;
    if (this.tool.kind === "eyedropper" && !this.coloured()) this.tool.kind = "brush";
    this.habit();
  }

  /**
   * @param {LayerName} name
   * @param {{shown?: boolean, opacity?: number}} change
   */
  look(name, change) {
    Object.assign(this.looks[name], change);
    this.stage.redraw();
    this.habit();
  }

  // -- tools ----------------------------------------------------------------------------------------------------------

  /** @param {import("./canvas_tool.js").Kind} kind */
  hold(kind) {
    const { layers } = this.options;
    if (kind === "frame" && !layers.includes("mask")) return;
    if (kind === "eyedropper" && !this.coloured()) {
      if (!layers.includes("sketch")) return;
      this.activate("sketch");
    }
    this.settle();
    this.tool.kind = kind;
    this.habit();
    this.gestures.refreshRing();
  }

  /** Ends the stroke that may be under way. */
  settle() {
    const layer = this.stage.sheet?.layer(this.active);
    if (!layer?.endStroke()) return;
    this.#used();
    this.changed(this.active);
  }

  /** A colour that has been painted with stays at hand. */
  #used() {
    if (this.coloured() && !this.tool.erasing) this.tool.remember();
  }

  /**
   * Paints some pixels of the active layer, or takes them away.
   * @param {import("./canvas_surface.js").Region} region
   * @param {boolean} [takes]  the other way round than the tool is set
   */
  lay(region, takes = false) {
    const layer = this.paintable();
    if (!layer) return;
    const brush = this.tool.brushFor({});
    if (!layer.fillRegion(region, { ...brush, erase: brush.erase !== takes })) return;
    this.#used();
    this.changed(this.active);
  }

  /**
   * @param {Point} point  of the picture
   * @param {boolean} [takes]
   */
  pour(point, takes = false) {
    if (!this.paintable()) return;
    const region = poured(/** @type {any} */ (this), point);
    if (region) this.lay(region, takes);
  }

  /** @param {Point} point  of the picture, whose colour is taken into the hand */
  pick(point) {
    const { sheet } = this.stage;
    const word = sheet && seenColour(sheet, this.looks, point);
    if (word === null || word >>> 24 === 0) return;
    const colour = colourHex(word & 0xffffff);
    if (this.options.classes?.every(({ color }) => color !== colour)) return;
    this.tool.paintWith(colour);
    this.habit();
  }

  invert() {
    this.edits.invert();
  }

  clear() {
    this.settle();
    if (this.stage.sheet?.layer(this.active)?.clear()) this.changed(this.active);
  }

  undo() {
    this.#go((history) => history.undo());
  }

  redo() {
    this.#go((history) => history.redo());
  }

  /** @param {(history: import("./canvas_history.js").History) => boolean} move */
  #go(move) {
    const { sheet } = this.stage;
    if (!sheet) return;
    this.settle();
    if (move(sheet.history)) this.changed("edit");
  }

  // -- the frame ------------------------------------------------------------------------------------------------------

  /** @param {Partial<Frame>} sides */
  setFrame(sides) {
    const { sheet } = this.stage;
    if (!sheet) return;
    this.settle();
    const before = sheet.frame;
    sheet.setFrame(sides);
    if (sheet.keepFrame(before)) this.changed("frame");
    else this.refresh();
  }

  /** @param {number} pixels  along each new side of the picture that are made anew too */
  setOverlap(pixels) {
    const { sheet } = this.stage;
    if (!sheet) return;
    sheet.overlap = Math.min(MOST_OVERLAP, Math.max(0, Math.round(pixels)));
    this.stage.redraw();
    this.changed("frame");
  }

  /**
   * While a handle is held: the view stays, or the handle would run away from the pointer.
   * @param {string[]} sides
   * @param {Frame} before
   * @param {Frame} by  pixels outwards
   */
  dragFrame(sides, before, by) {
    const { sheet } = this.stage;
    if (!sheet) return;
    this.framing = true;
    for (const side of /** @type {Side[]} */ (sides)) {
      sheet.setFrame({ [side]: settled(sheet, sheet.frame, side, before[side] + by[side]) });
    }
    this.refresh();
  }

  /** @param {Frame} before */
  dropFrame(before) {
    this.framing = false;
    this.reframe();
    if (this.stage.sheet?.keepFrame(before)) this.changed("frame");
  }

  /** Shows the frame as it is now. */
  reframe() {
    const { sheet, view } = this.stage;
    if (!sheet) return;
    view.setFrame(sheet.frame, !this.framing);
    this.stage.redraw();
  }

  // -- the rest -------------------------------------------------------------------------------------------------------

  fit() {
    this.stage.view.fit();
    this.stage.redraw();
    this.gestures.refreshRing();
  }

  focus() {
    this.stage.element.focus();
  }

  destroy() {
    this.ending.abort();
    this.stage.destroy();
    this.root.remove();
  }

  /** Tools and looks as they are, to be remembered. */
  habits() {
    return { tool: this.tool.kept(), looks: this.looks, active: this.active };
  }

  /** @param {ReturnType<Easel["habits"]>} habits */
  takeHabits({ tool, looks, active }) {
    this.tool.restore(tool);
    for (const [name, look] of Object.entries(looks ?? {})) Object.assign(this.looks[/** @type {LayerName} */ (name)] ?? {}, look);
    if (this.options.layers.includes(active)) this.active = active;
    this.refresh();
  }

  /** A tool or a look has changed; the pictures have not. */
  habit() {
    this.refresh();
    this.keeper?.plan();
  }

  /** @param {import("./canvas.js").Reason} reason */
  changed(reason) {
    if (reason !== "upload") this.say(null); // whatever was wrong, it is another canvas now
    this.habit();
    const canvas = /** @type {import("./canvas.js").StudioCanvas} */ (/** @type {unknown} */ (this));
    this.options.onchange?.({
      reason,
      hasPicture: canvas.hasPicture(),
      hasMask: canvas.hasMask(),
      pictureId: canvas.pictureId(),
    });
  }
}
