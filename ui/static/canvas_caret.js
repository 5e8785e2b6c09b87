/** Painting without a pointer: arrow keys move the brush, Enter sets it down, Shift with an arrow draws. */

/** @typedef {import("./canvas_brush.js").Point} Point */

/** @type {Record<string, Point>} */
const WAYS = { ArrowLeft: { x: -1, y: 0 }, ArrowRight: { x: 1, y: 0 }, ArrowUp: { x: 0, y: -1 }, ArrowDown: { x: 0, y: 1 } };

export const CARET_HELP = "Arrow keys move the brush, Enter paints, Shift with an arrow key draws a line.";

/**
 * @param {import("./canvas.js").MaskCanvas} canvas
 * @param {AbortSignal} signal
 */
export function followKeyboard(canvas, signal) {
  const { stage, tool } = canvas;
  /** @type {{mask: object, at: Point} | null} */
  let caret = null;

  /** Where the brush is: in the middle of what is seen when the picture is new. */
  const place = () => {
    const { view, mask } = stage;
    const middle = view.toPicture({ x: view.stage.width / 2, y: view.stage.height / 2 });
    return caret && caret.mask === mask ? caret.at : inside(middle, view.picture);
  };

  const keepInSight = (/** @type {Point} */ at) => {
    const { view } = stage;
    const shown = view.toStage(at);
    const dx = Math.min(Math.max(shown.x, 0), view.stage.width) - shown.x;
    const dy = Math.min(Math.max(shown.y, 0), view.stage.height) - shown.y;
    if (!dx && !dy) return;
    view.pan(dx, dy);
    stage.redraw();
  };

  const paint = (/** @type {Point} */ from, /** @type {Point} */ to) => {
    canvas.settle();
    stage.mask?.beginStroke(from, { size: tool.size, erase: tool.erasing, softness: tool.softness });
    stage.mask?.continueStroke(to, tool.size);
    canvas.settle();
  };

  stage.element.addEventListener(
    "keydown",
    (event) => {
      const way = WAYS[event.key];
      const { mask } = stage;
      if (!mask || event.target !== stage.element || event.ctrlKey || event.metaKey || event.altKey || !(way || event.key === "Enter"))
        return;
      event.preventDefault();
      event.stopPropagation();
      const from = place();
      const step = way ? Math.max(1, Math.round(tool.size / 4)) : 0;
      const to = inside({ x: from.x + (way?.x ?? 0) * step, y: from.y + (way?.y ?? 0) * step }, stage.view.picture);
      caret = { mask, at: to };
      if (!way || event.shiftKey) paint(from, to);
      keepInSight(to);
      stage.showRing(stage.view.toStage(to), tool.size);
    },
    { signal },
  );
  stage.element.addEventListener("blur", () => stage.showRing(null), { signal });
}

/**
 * @param {Point} point
 * @param {{width: number, height: number}} size
 * @returns {Point}
 */
function inside(point, size) {
  return { x: Math.min(Math.max(point.x, 0), size.width), y: Math.min(Math.max(point.y, 0), size.height) };
}
