/** Keeps what lies on the canvas from one visit to the next: each part for itself, soon after it has changed. */

import { squeezed } from "./canvas_png.js";

/**
 * Where things are kept, by name; the page gives this canvas names of its own.
 * @typedef {{read: (name: string) => Promise<any>, write: (name: string, value: any) => Promise<unknown>}} Shelf  null forgets.
 * @typedef {import("./canvas.js").StudioCanvas} StudioCanvas
 */

const SOON = 400; // ms
const LAYERS = /** @type {const} */ (["mask", "sketch", "control"]);

/** Parts carry the stamp of their sheet, so that what was written halfway is not mixed with something else. */
export class Keeper {
  /**
   * @param {StudioCanvas} canvas
   * @param {Shelf} shelf
   * @param {AbortSignal} signal
   */
  constructor(canvas, shelf, signal) {
    this.canvas = canvas;
    this.shelf = shelf;
    this.planned = 0;
    /** @type {Record<string, string>} what of each part is kept */ this.kept = {};
    /** @type {Promise<void>} */ this.writing = Promise.resolve();
    const now = () => this.planned && this.write();
    document.addEventListener("visibilitychange", () => document.hidden && now(), { signal });
    window.addEventListener("pagehide", now, { signal });
    document.addEventListener("pointerdown", now, { signal, capture: true }); // what is finished, before the next stroke changes it
    signal.addEventListener("abort", () => clearTimeout(this.planned));
  }

  /** Writes soon; many changes become one write. */
  plan() {
    clearTimeout(this.planned);
    this.planned = window.setTimeout(() => (this.canvas.gestures.busy ? this.plan() : this.write()), SOON);
  }

  /** @returns {Promise<void>} when all that has changed is kept, or could not be */
  write() {
    clearTimeout(this.planned);
    this.planned = 0;
    // Without storage everything else works; it is only lost on reload.
    this.writing = this.writing.then(() => this.#write()).catch(() => {});
    return this.writing;
  }

  async #write() {
    const { canvas } = this;
    const { sheet } = canvas.stage;
    const stamp = sheet?.stamp ?? "";
    await this.#part("picture", stamp, () => sheet && { stamp, blob: sheet.picture.blob });
    for (const name of LAYERS) {
      const layer = sheet?.layer(name);
      const empty = !layer || layer.isEmpty();
      await this.#part(name, empty ? "" : `${stamp} ${layer.revision}`, async () => {
        if (empty) return null;
        const { data } = layer.plane;
        return { stamp, values: await new Response(squeezed(new Uint8Array(data.buffer, 0, data.byteLength), "gzip")).blob() };
      });
    }
    const state = sheet && { stamp, id: canvas.pictureId(), frame: sheet.frame, overlap: sheet.overlap, ...canvas.habits() };
    await this.#part("state", JSON.stringify(state ?? canvas.habits()), () => state ?? canvas.habits());
  }

  /**
   * @param {string} name
   * @param {string} version
   * @param {() => any} make
   */
  async #part(name, version, make) {
    if (this.kept[name] === version) return;
    await this.shelf.write(name, await make());
    this.kept[name] = version;
  }

  /** @returns {Promise<boolean>} whether there was a picture to put back */
  async restore() {
    const { canvas, shelf } = this;
    const [state, picture] = await Promise.all([shelf.read("state"), shelf.read("picture")]);
    if (state) canvas.takeHabits(state);
    if (!picture?.blob || canvas.hasPicture()) return false;
    const parts = await Promise.all(LAYERS.map((name) => shelf.read(name)));
    const shown = await canvas.setPicture(picture.blob, state?.stamp === picture.stamp ? state.id : null, { quietly: true });
    const { sheet } = canvas.stage;
    if (!shown || !sheet) return false;
    this.kept.picture = sheet.stamp = picture.stamp;
    for (const [index, name] of LAYERS.entries()) {
      const layer = sheet.layer(name);
      if (!layer || parts[index]?.stamp !== picture.stamp) continue;
      await unpacked(layer, parts[index].values);
      this.kept[name] = `${sheet.stamp} ${layer.revision}`;
    }
    if (state?.stamp === picture.stamp) {
      sheet.setFrame(state.frame);
      sheet.overlap = state.overlap;
    }
    if (sheet === canvas.stage.sheet) canvas.changed("picture");
    return true;
  }
}

/**
 * @param {import("./canvas_surface.js").Surface} layer
 * @param {Blob} values
 */
async function unpacked(layer, values) {
  const bytes = new Uint8Array(await new Response(values.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
  const { data } = layer.plane;
  if (bytes.length !== data.byteLength) return;
  layer.restore(data instanceof Uint32Array ? new Uint32Array(bytes.buffer) : bytes);
}
