/** Where pictures come from: dropped on the canvas, pasted while it has the attention, or chosen as a file; and the words that say so. */

import { icon } from "./canvas_icons.js";
import { isAttended } from "./canvas_keys.js";

const ACCEPTED = "image/png,image/jpeg,image/webp";

/**
 * @typedef {object} Receiver
 * @property {() => boolean} takesMask  whether a file may be the mask of the picture that is there
 * @property {(source: Blob | string) => void} picture
 * @property {(source: Blob | string) => void} mask
 */

/**
 * Opens the file dialogue.
 * @param {(file: File) => void} then
 */
export function chooseFile(then) {
  const input = document.createElement("input");
  input.type = "file";
  input.accept = ACCEPTED;
  input.addEventListener("change", () => input.files?.[0] && then(input.files[0]));
  input.click();
}

/**
 * What is seen while there is no picture.
 * @param {() => void} choose
 * @param {string} hint  what to do next
 * @param {HTMLElement | null} blank  another way to begin
 */
export function emptyState(choose, hint, blank) {
  const element = document.createElement("div");
  element.className = "sl-painter-empty";
  element.innerHTML = `${icon("picture")}<p class="sl-painter-ways"><strong>Drop a picture here</strong>, paste one, or</p>
    <button type="button" class="sl-painter-choose">Choose a picture</button>
    <p class="sl-painter-hint">PNG, JPEG or WebP. ${hint}</p>`;
  element.querySelector("button")?.addEventListener("click", choose);
  if (blank) element.append(blank);
  return element;
}

/**
 * @param {DataTransfer | null} data
 * @returns {File | string | null} a picture file, or the address of a picture of this page
 */
function pictureIn(data) {
  if (!data) return null;
  const file = [...data.files].find((each) => each.type.startsWith("image/")) ?? data.files[0];
  if (file) return file;
  const address = data.getData("text/uri-list").split("\n")[0].trim();
  return address.startsWith(`${location.origin}/`) ? address : null;
}

/** Two zones when a picture is there already: a file can be the next picture or its mask. */
class DropZones {
  /** @param {Receiver} receiver */
  constructor(receiver) {
    this.receiver = receiver;
    this.element = document.createElement("div");
    this.element.className = "sl-painter-drop";
    this.element.hidden = true;
    this.zones = ["Use as picture", "Use as mask"].map((text) => {
      const zone = document.createElement("div");
      zone.textContent = text;
      return zone;
    });
    this.element.append(...this.zones);
  }

  /** @param {DragEvent | null} event  null when nothing is dragged any more */
  show(event) {
    this.element.hidden = !event;
    if (!event) return;
    this.zones[1].hidden = !this.receiver.takesMask();
    this.zones[0].classList.toggle("sl-painter-over", !this.overMask(event));
    this.zones[1].classList.toggle("sl-painter-over", this.overMask(event));
  }

  /** @param {DragEvent} event */
  overMask(event) {
    const box = this.zones[1].getBoundingClientRect();
    return !this.zones[1].hidden && event.clientX >= box.left;
  }
}

/**
 * @param {HTMLElement} root
 * @param {HTMLElement} stage
 * @param {Receiver} receiver
 * @param {AbortSignal} signal
 */
export function receivePictures(root, stage, receiver, signal) {
  const zones = new DropZones(receiver);
  stage.append(zones.element);
  const over = (/** @type {DragEvent} */ event) => {
    const types = event.dataTransfer?.types ?? [];
    if (!types.includes("Files") && !types.includes("text/uri-list")) return;
    event.preventDefault();
    zones.show(event);
  };
  root.addEventListener("dragenter", over, { signal });
  root.addEventListener("dragover", over, { signal });
  root.addEventListener("dragleave", (event) => !root.contains(/** @type {Node | null} */ (event.relatedTarget)) && zones.show(null), {
    signal,
  });
  root.addEventListener(
    "drop",
    (event) => {
      event.preventDefault();
      event.stopPropagation();
      const asMask = zones.overMask(event);
      zones.show(null);
      const source = pictureIn(event.dataTransfer);
      if (source) (asMask ? receiver.mask : receiver.picture)(source);
    },
    { signal },
  );
  document.addEventListener(
    "paste",
    (event) => {
      if (!isAttended(root)) return;
      const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
      if (!file) return;
      event.preventDefault();
      event.stopPropagation();
      receiver.picture(file);
    },
    { signal, capture: true },
  );
}
