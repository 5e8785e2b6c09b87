/** What is drawn over the pixels as lines: the lasso under way, the frame and the handles to drag it by. */

import { isFramed } from "./canvas_frame.js";

/**
 * @typedef {import("./canvas_brush.js").Point} Point
 * @typedef {import("./canvas_sheet.js").Sheet} Sheet
 * @typedef {import("./canvas_view.js").View} View
 */

const SVG = "http://www.w3.org/2000/svg";

/** Which sides a handle moves. */
export const HANDLES = ["left", "top", "right", "bottom", "left top", "right top", "left bottom", "right bottom"];

/** Elements of the page, so that they stay sharp and cost no pixels. */
export class Marks {
  constructor() {
    this.lines = document.createElementNS(SVG, "svg");
    this.lines.setAttribute("class", "sl-painter-lines");
    this.lines.setAttribute("aria-hidden", "true");
    this.paths = ["sl-painter-line-dark", "sl-painter-line-light"].map((name) => {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("class", name);
      this.lines.append(path);
      return path;
    });
    this.frame = document.createElement("div");
    this.frame.className = "sl-painter-frame";
    this.frame.hidden = true;
    this.size = document.createElement("span");
    this.size.className = "sl-painter-frame-size";
    this.frame.append(this.size, ...HANDLES.map(handle));
    this.handled = false;
  }

  /**
   * @param {Point[] | null} points  in picture pixels
   * @param {View} view
   */
  line(points, view) {
    const place = (/** @type {Point} */ point) => {
      const at = view.toStage(point);
      return `${(at.x / view.ratio).toFixed(1)} ${(at.y / view.ratio).toFixed(1)}`;
    };
    const path = points?.length ? `M${points.map(place).join("L")}Z` : "";
    for (const each of this.paths) each.setAttribute("d", path);
  }

  /**
   * @param {Sheet | null} sheet
   * @param {View} view
   */
  place(sheet, view) {
    this.frame.hidden = !sheet || (!this.handled && !isFramed(sheet.frame));
    if (!sheet || this.frame.hidden) return;
    const { frame, framed } = sheet;
    const from = view.toStage({ x: -frame.left, y: -frame.top });
    this.frame.style.transform = `translate(${from.x / view.ratio}px, ${from.y / view.ratio}px)`;
    this.frame.style.width = `${(framed.width * view.scale) / view.ratio}px`;
    this.frame.style.height = `${(framed.height * view.scale) / view.ratio}px`;
    this.frame.classList.toggle("sl-painter-handled", this.handled);
    this.size.textContent = `${framed.width} × ${framed.height}`;
  }
}

/** @param {string} sides */
function handle(sides) {
  const element = document.createElement("div");
  element.className = "sl-painter-handle";
  element.dataset.sides = sides;
  return element;
}

/**
 * Lets the handles move the frame.
 * @param {import("./canvas.js").StudioCanvas} canvas
 * @param {AbortSignal} signal
 */
export function dragFrame(canvas, signal) {
  const { stage } = canvas;
  /** @type {{pointer: number, sides: string[], at: Point, before: import("./canvas_frame.js").Frame} | null} */
  let held = null;
  const on = (/** @type {string} */ name, /** @type {(event: any) => void} */ handler) =>
    stage.marks.frame.addEventListener(name, handler, { signal });
  on("pointerdown", (/** @type {PointerEvent} */ event) => {
    const sides = /** @type {HTMLElement} */ (event.target).dataset.sides;
    if (!sides || !stage.sheet || held || event.button !== 0) return;
    event.preventDefault();
    event.stopPropagation();
    stage.marks.frame.setPointerCapture(event.pointerId);
    held = { pointer: event.pointerId, sides: sides.split(" "), at: stage.locate(event), before: stage.sheet.frame };
  });
  on("pointermove", (/** @type {PointerEvent} */ event) => {
    if (held?.pointer !== event.pointerId) return;
    const at = stage.locate(event);
    const dx = (at.x - held.at.x) / stage.view.scale;
    const dy = (at.y - held.at.y) / stage.view.scale;
    canvas.dragFrame(held.sides, held.before, { left: -dx, right: dx, top: -dy, bottom: dy });
  });
  const drop = (/** @type {PointerEvent} */ event) => {
    if (held?.pointer !== event.pointerId) return;
    canvas.dropFrame(held.before);
    held = null;
  };
  on("pointerup", drop);
  on("pointercancel", drop);
}
