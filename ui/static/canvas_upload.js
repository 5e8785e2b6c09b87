/** Hands the canvas's picture to the studio once and remembers the id it got. */

import { CanvasError } from "./canvas_files.js";

/**
 * @param {Blob} blob
 * @returns {Promise<string>} the id of the upload; throws CanvasError with the studio's own sentence when it refuses
 */
export async function uploadToStudio(blob) {
  const page = /** @type {Window & {gradio_config?: {root?: string}}} */ (window);
  const root = (page.gradio_config?.root ?? "").replace(/\/$/, "");
  const answer = await fetch(`${root}/api/v1/uploads`, { method: "POST", body: blob }).catch(() => null);
  if (!answer) throw new CanvasError("The studio does not answer; the picture stays here and is sent again when it is needed.");
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok || !body.id) throw new CanvasError(body.error ?? "The studio did not take the picture.");
  return body.id;
}

/** One picture's way to the studio. */
export class Upload {
  /**
   * @param {Blob} blob
   * @param {string | null} id  when the studio has it already
   * @param {(blob: Blob) => Promise<string>} send
   */
  constructor(blob, id, send) {
    this.blob = blob;
    this.id = id;
    this.send = send;
    /** @type {Promise<string> | null} */ this.underway = null;
  }

  /** @returns {Promise<string>} the id; sends the picture if that has not been done, and tries again after a failure */
  finished() {
    if (this.id) return Promise.resolve(this.id);
    this.underway ??= this.send(this.blob)
      .then((id) => (this.id = id))
      .finally(() => (this.underway = null));
    return this.underway;
  }
}
