/** What each tool does between the pointer going down and up. */

import { polygon, rectangle } from "./canvas_regions.js";
import { isBeyond, widen } from "./canvas_widen.js";

/**
 * @typedef {import("./canvas.js").StudioCanvas} StudioCanvas
 * @typedef {import("./canvas_brush.js").Point} Point
 * @typedef {{begin: (point: Point, event: PointerEvent) => void, draw: (point: Point, event: PointerEvent) => void, end: () => void,
 *   abandon: () => void}} Hand
 */

const NEAR = 2; // CSS pixels that the pointer goes between two corners of a lasso

/**
 * @param {StudioCanvas} canvas
 * @returns {import("./canvas_input.js").Painter}
 */
export function painter(canvas) {
  const { stage, tool } = canvas;
  /** @type {Record<string, Hand>} */
  const hands = {
    stroke: strokes(canvas),
    lasso: lasso(canvas),
    rectangle: corners(canvas),
    fill: pours(canvas),
    eyedropper: picks(canvas),
  };
  /** @type {Hand | null} */
  let hand = null;
  const picking = (/** @type {PointerEvent} */ event) => event.altKey && tool.kind === "brush" && canvas.coloured();
  const handFor = (/** @type {PointerEvent} */ event) =>
    picking(event) ? hands.eyedropper : tool.strokes ? hands.stroke : hands[tool.kind];
  return {
    sizeFor: (event) => (tool.strokes && !picking(event) ? tool.sizeFor(event) : 0),
    softness: () => tool.softness,
    cursor: (event) => (picking(event) ? "pick" : ({ frame: "hand", eyedropper: "pick" }[tool.kind] ?? (tool.strokes ? "brush" : "cross"))),
    ready: () => canvas.hasPicture(),
    // Who has a pen at hand rests the hand on the glass and moves the picture with a finger.
    paints: (event) => tool.kind !== "frame" && !(tool.pen && event.pointerType === "touch"),
    begin: (point, event) => {
      if (event.pointerType === "pen" && !tool.pen) {
        tool.pen = true;
        canvas.refresh();
      }
      hand = handFor(event);
      hand.begin(point, event);
    },
    draw: (point, event) => hand?.draw(point, event),
    end: () => {
      hand?.end();
      hand = null;
      stage.marks.line(null, stage.view);
    },
    abandon: () => {
      hand?.abandon();
      hand = null;
      stage.marks.line(null, stage.view);
    },
  };
}

/**
 * @param {StudioCanvas} canvas
 * @returns {Hand}
 */
function strokes(canvas) {
  const { tool } = canvas;
  /** @type {Hand["begin"]} */
  const begin = (point, event) => canvas.paintable()?.beginStroke(point, tool.brushFor(event));
  /** @type {Hand["draw"]} */
  const draw = (point, event) => canvas.paintable()?.continueStroke(point, tool.sizeFor(event));
  /** @type {{points: [Point, PointerEvent][], ended: boolean} | null} what was drawn before its paper was there */
  let early = null;
  const catchUp = async () => {
    const mine = (early = { points: [], ended: false });
    const by = await widen(canvas).catch(canvas.complain);
    if (early !== mine) return;
    early = null;
    if (!by) return;
    const [first, ...rest] = mine.points.map(([{ x, y }, event]) => /** @type {const} */ ([{ x: x + by.x, y: y + by.y }, event]));
    begin(...first);
    for (const each of rest) draw(...each);
    if (mine.ended) canvas.settle();
  };
  return {
    begin: (point, event) => {
      if (canvas.active !== "sketch" || tool.erasing || !isBeyond(canvas.stage.sheet, point)) return void begin(point, event);
      void catchUp();
      early?.points.push([point, event]);
    },
    draw: (point, event) => void (early ? early.points.push([point, event]) : draw(point, event)),
    end: () => void (early ? (early.ended = true) : canvas.settle()),
    abandon: () => {
      early = null;
      canvas.paintable()?.cancelStroke();
    },
  };
}

/**
 * @param {StudioCanvas} canvas
 * @returns {Hand}
 */
function lasso(canvas) {
  const { stage } = canvas;
  /** @type {Point[]} */ let points = [];
  let takes = false;
  return {
    begin: (point, event) => {
      points = [point];
      takes = event.altKey;
    },
    draw: (point) => {
      const last = points[points.length - 1];
      if (Math.hypot(point.x - last.x, point.y - last.y) * stage.view.scale < NEAR * stage.view.ratio) return;
      points.push(point);
      stage.marks.line(points, stage.view);
    },
    end: () => canvas.lay(polygon(stage.view.picture, points), takes),
    abandon: () => (points = []),
  };
}

/**
 * @param {StudioCanvas} canvas
 * @returns {Hand}
 */
function corners(canvas) {
  const { stage } = canvas;
  /** @type {[Point, Point]} */ let at = [
    { x: 0, y: 0 },
    { x: 0, y: 0 },
  ];
  let takes = false;
  return {
    begin: (point, event) => {
      at = [point, point];
      takes = event.altKey;
    },
    draw: (point) => {
      at = [at[0], point];
      const { x, y, width, height } = rectangle(stage.view.picture, at[0], at[1]);
      const right = x + width;
      const bottom = y + height;
      stage.marks.line([{ x, y }, { x: right, y }, { x: right, y: bottom }, { x, y: bottom }], stage.view); // prettier-ignore
    },
    end: () => canvas.lay(rectangle(stage.view.picture, at[0], at[1]), takes),
    abandon: () => {},
  };
}

/**
 * @param {StudioCanvas} canvas
 * @returns {Hand}
 */
function pours(canvas) {
  /** @type {{point: Point, takes: boolean} | null} */ let at = null;
  return {
    begin: (point, event) => (at = { point, takes: event.altKey }),
    draw: () => {},
    end: () => at && canvas.pour(at.point, at.takes),
    abandon: () => (at = null),
  };
}

/**
 * @param {StudioCanvas} canvas
 * @returns {Hand}
 */
function picks(canvas) {
  return { begin: (point) => canvas.pick(point), draw: (point) => canvas.pick(point), end: () => {}, abandon: () => {} };
}
