/** Painting without a pointer: arrow keys move the brush, Enter sets it down, Shift with an arrow draws. */

/** @typedef {import("./canvas_brush.js").Point} Point */

/** @type {Record<string, Point>} */
const WAYS = { ArrowLeft: { x: -1, y: 0 }, ArrowRight: { x: 1, y: 0 }, ArrowUp: { x: 0, y: -1 }, ArrowDown: { x: 0, y: 1 } };

export const CARET_HELP = "Arrow keys move the brush, Enter paints, Shift with an arrow key draws a line.";

/**
 * @param {import("./canvas.js").StudioCanvas} canvas
 * @param {AbortSignal} signal
 */
export function followKeyboard(canvas, signal) {
  const { stage, tool } = canvas;
  /** @type {{sheet: object, at: Point} | null} */
  let caret = null;

  /** Where the brush is: in the middle of what is seen when the picture is new. */
  const place = () => {
    const { view, sheet } = stage;
    const middle = view.toPicture({ x: view.stage.width / 2, y: view.stage.height / 2 });
    return caret && caret.sheet === sheet ? caret.at : inside(middle, view.picture);
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
    const surface = canvas.paintable();
    surface?.beginStroke(from, tool.brushFor({}));
    surface?.continueStroke(to, tool.size);
    canvas.settle();
  };

  /** Strokes draw; other tools act on the place when Enter is pressed, as a click would. */
  const use = (/** @type {Point} */ from, /** @type {Point} */ to, /** @type {boolean} */ pressed) => {
    if (tool.strokes) return paint(from, to);
    if (pressed && tool.kind === "fill") canvas.pour(to);
    if (pressed && tool.kind === "eyedropper") canvas.pick(to);
  };

  stage.element.addEventListener(
    "keydown",
    (event) => {
      const way = WAYS[event.key];
      const { sheet } = stage;
      if (!sheet || event.target !== stage.element || event.ctrlKey || event.metaKey || event.altKey || !(way || event.key === "Enter"))
        return;
      event.preventDefault();
      event.stopPropagation();
      const from = place();
      const step = way ? Math.max(1, Math.round(tool.size / 4)) : 0;
      const to = inside({ x: from.x + (way?.x ?? 0) * step, y: from.y + (way?.y ?? 0) * step }, stage.view.picture);
      caret = { sheet, at: to };
      if (!way || event.shiftKey) use(from, to, !way);
      keepInSight(to);
      stage.showRing(stage.view.toStage(to), tool.strokes ? tool.size : 1, tool.softness);
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
