/** Hands pictures to the studio once and remembers the ids they got. */

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

/** What is composed here and sent, each thing once: the same pixels are never sent twice. */
export class Outbox {
  /** @param {(blob: Blob) => Promise<string>} send */
  constructor(send) {
    this.send = send;
    /** @type {Map<string, string>} ids by content */ this.ids = new Map();
    /** @type {Map<string, {key: string, id: Promise<string>}>} */ this.last = new Map();
  }

  /**
   * @param {string} name  of what is sent
   * @param {string} key  changes whenever it does
   * @param {() => Promise<Blob>} make
   * @returns {Promise<string>} the studio's id of it
   */
  id(name, key, make) {
    const last = this.last.get(name);
    if (last?.key === key) return last.id;
    const id = make().then((blob) => this.#sent(blob));
    this.last.set(name, { key, id });
    id.catch(() => this.last.delete(name)); // so that the next try is a new one
    return id;
  }

  /** @param {Blob} blob */
  async #sent(blob) {
    const content = await fingerprint(blob);
    const known = this.ids.get(content);
    if (known) return known;
    const id = await this.send(blob);
    this.ids.set(content, id);
    return id;
  }
}

/**
 * @param {Blob} blob
 * @returns {Promise<string>} the SHA-256 of its bytes; over plain http from another machine, where there is none, a name of its own
 */
async function fingerprint(blob) {
  if (!crypto.subtle) return Math.random().toString(36);
  const digest = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
