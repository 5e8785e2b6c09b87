// A picture dropped or pasted anywhere, or chosen with the button in the bar.

import * as batch from "./batch.js";
import { el, pictureFile } from "./dom.js";
import * as recipe from "./recipe.js";
import * as source from "./source.js";

const invitation = el("p", { text: "Drop the picture to read how it was made" });
const veil = el("div", { class: "sl-veil", hidden: true, aria: { hidden: "true" } }, invitation);
const READ = "image/png,image/jpeg,image/webp,video/mp4";
const chooser = pictureFile("Picture to read", (file) => recipe.open(file, file.name), READ);

chooser.hidden = true; // it lies in no landmark of the page

const ZONE = '[data-mount="source"]';
const TAKER = "[data-takes-picture]"; // hears "picture" with the file that is dropped on it
const CANVAS = ".sl-painter"; // takes what is dropped on it itself
const hasFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
const onCanvas = (event) => Boolean(event.target.closest?.(CANVAS));

export const choosePicture = () => chooser.click();

export function watchDrops() {
  document.body.append(veil, chooser);
  addEventListener("dragover", over);
  addEventListener("dragleave", (event) => event.relatedTarget === null && (veil.hidden = true));
  addEventListener("drop", dropped, true);
  addEventListener("paste", pasted);
}

function over(event) {
  if (!hasFile(event)) return;
  if (!event.defaultPrevented) event.preventDefault();
  veil.hidden = onCanvas(event) || Boolean(event.target.closest?.(`${ZONE}, ${TAKER}`));
}

function dropped(event) {
  veil.hidden = true;
  if (!hasFile(event) || onCanvas(event)) return;
  event.preventDefault();
  event.stopPropagation();
  const { files } = event.dataTransfer;
  const task = event.target.closest?.(ZONE)?.dataset.tab;
  if (files.length > 1 && batch.takes(task)) return batch.offered(task, files);
  taken(files[0], event.target);
}

function pasted(event) {
  const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
  if (!file || event.defaultPrevented) return;
  event.preventDefault();
  taken(file, event.target);
}

/** In a tab's drop zone the picture is what to start from; anywhere else it is read for its recipe. */
function taken(file, target) {
  if (!file) return;
  const taker = target.closest?.(TAKER);
  if (taker) return taker.dispatchEvent(new CustomEvent("picture", { detail: file }));
  const zone = target.closest?.(ZONE);
  if (!zone) return recipe.open(file, file.name);
  source.offered(zone.dataset.tab, file);
}
