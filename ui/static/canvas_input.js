/** Pointers and wheel on the stage: one finger, pen or button paints; two fingers, the middle button or space move; the wheel zooms. */

/** @typedef {import("./canvas_brush.js").Point} Point */

/**
 * What the gestures act on.
 * @typedef {object} Painter
 * @property {() => boolean} ready  whether there is a picture
 * @property {(event: PointerEvent) => boolean} paints  whether a drag of this pointer paints (else it moves the picture)
 * @property {(event: PointerEvent) => number} sizeFor  brush size, with pressure if that is on; 0 for tools without one
 * @property {(event: PointerEvent) => string} cursor  "brush", "cross", "pick" or "hand": what the pointer would do
 * @property {() => number} softness  of the brush, 0 to 1
 * @property {(point: Point, event: PointerEvent) => void} begin
 * @property {(point: Point, event: PointerEvent) => void} draw
 * @property {() => void} end
 * @property {() => void} abandon
 */

// A second finger this soon after the first means "two fingers from the start": what the first has painted is taken back.
const SECOND_FINGER_MS = 350;
const LINE_HEIGHT = 16;
const PEN_ERASER = 32;
const QUIETLY = /** @type {FocusOptions} */ ({ preventScroll: true, focusVisible: false });

/** Turns events into strokes, pans and zooms. */
export class Gestures {
  /**
   * @param {import("./canvas_stage.js").Stage} stage
   * @param {Painter} painter
   * @param {AbortSignal} signal  ends all listening
   */
  constructor(stage, painter, signal) {
    this.stage = stage;
    this.painter = painter;
    /** @type {Map<number, Point>} */ this.fingers = new Map();
    /** @type {"idle" | "stroke" | "pan" | "pinch"} */ this.mode = "idle";
    this.pointer = -1;
    this.started = 0;
    /** @type {Point} */ this.last = { x: 0, y: 0 };
    this.spaceHeld = false;
    /** @type {{at: Point, event: PointerEvent} | null} */ this.hovering = null;
    const on = (/** @type {string} */ name, /** @type {(event: any) => void} */ handler) =>
      stage.element.addEventListener(name, handler, { signal, passive: false });
    on("pointerdown", (event) => this.#down(event));
    on("pointermove", (event) => this.#move(event));
    on("pointerup", (event) => this.#up(event));
    on("pointercancel", (event) => this.#up(event));
    on("pointerleave", () => this.#leave());
    on("wheel", (event) => this.#wheel(event));
    // The middle button would start the browser's own scrolling.
    on("mousedown", (event) => event.button === 1 && event.preventDefault());
  }

  /** @param {boolean} held */
  holdSpace(held) {
    this.spaceHeld = held;
    this.#cursor();
  }

  /** Whether a finger, pen or button is at work. */
  get busy() {
    return this.mode !== "idle";
  }

  /** Takes the stroke being drawn back. */
  abandon() {
    if (this.mode !== "stroke") return;
    this.painter.abandon();
    this.#become("idle");
  }

  /** @param {PointerEvent | undefined} [event] */
  #cursor(event = this.hovering?.event) {
    const moves = this.mode === "pan" || this.mode === "pinch";
    const hand = this.spaceHeld || moves;
    const idle = this.mode === "idle" && event ? this.painter.cursor(event) : "brush";
    const shown = moves ? "grip" : this.spaceHeld ? "hand" : this.mode === "stroke" ? this.stage.element.dataset.cursor : idle;
    this.stage.element.dataset.cursor = this.painter.ready() ? shown : "";
    if (hand) this.stage.showRing(null);
  }

  /**
   * @param {Point} at
   * @param {PointerEvent} event
   */
  #ring(at, event) {
    const size = this.painter.sizeFor(event);
    this.stage.showRing(size ? at : null, size, this.painter.softness());
  }

  /** @param {"idle" | "stroke" | "pan" | "pinch"} mode */
  #become(mode) {
    this.mode = mode;
    this.#cursor();
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (!this.painter.ready() || /** @type {Element} */ (event.target).closest("button")) return;
    this.stage.element.focus(QUIETLY);
    const at = this.stage.locate(event);
    if (event.pointerType === "touch") {
      // A hand resting on the glass must not disturb the pen.
      if (this.mode === "stroke" && !this.fingers.has(this.pointer)) return;
      this.fingers.set(event.pointerId, at);
      if (this.fingers.size === 2) this.#pinch(event);
      if (this.fingers.size > 1) return;
    } else if (this.mode !== "idle" || (event.button !== 0 && event.button !== 1 && event.buttons !== PEN_ERASER)) return;
    this.stage.element.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    this.started = event.timeStamp;
    this.last = at;
    if (event.button === 1 || this.spaceHeld || !this.painter.paints(event)) return this.#become("pan");
    this.#become("stroke");
    this.painter.begin(this.stage.view.toPicture(at), event);
    this.#ring(at, event);
  }

  /** @param {PointerEvent} event */
  #pinch(event) {
    if (this.mode === "stroke") {
      if (event.timeStamp - this.started < SECOND_FINGER_MS) this.painter.abandon();
      else this.painter.end();
    }
    this.#become("pinch");
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (!this.painter.ready()) return;
    const at = this.stage.locate(event);
    if (this.mode === "pinch") this.#spread(event, at);
    else if (this.mode === "idle") this.#hover(event, at);
    else if (event.pointerId === this.pointer) this.#drag(event, at);
    if (this.fingers.has(event.pointerId)) this.fingers.set(event.pointerId, at);
  }

  /**
   * @param {PointerEvent} event
   * @param {Point} at
   */
  #hover(event, at) {
    this.hovering = event.pointerType === "touch" ? null : { at, event };
    this.#cursor();
    this.refreshRing();
  }

  #leave() {
    this.hovering = null;
    if (this.mode === "idle") this.stage.showRing(null);
  }

  /** Shows the brush where the pointer rests, after its size or the zoom has changed. */
  refreshRing() {
    this.#cursor();
    if (!this.hovering || this.spaceHeld) return;
    this.#ring(this.hovering.at, this.hovering.event);
  }

  /**
   * @param {PointerEvent} event
   * @param {Point} at
   */
  #drag(event, at) {
    if (this.mode === "pan") {
      this.stage.view.pan(at.x - this.last.x, at.y - this.last.y);
      this.stage.redraw();
    } else {
      const between = event.getCoalescedEvents?.() ?? [];
      for (const each of between.length ? between : [event]) this.painter.draw(this.stage.view.toPicture(this.stage.locate(each)), each);
      this.#ring(at, event);
    }
    this.last = at;
  }

  /**
   * Two fingers: the picture follows their middle and their distance.
   * @param {PointerEvent} event
   * @param {Point} at
   */
  #spread(event, at) {
    if (!this.fingers.has(event.pointerId) || this.fingers.size < 2) return;
    const other = [...this.fingers].find(([id]) => id !== event.pointerId)?.[1] ?? at;
    const before = /** @type {Point} */ (this.fingers.get(event.pointerId));
    const middle = { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 };
    const gap = (/** @type {Point} */ p) => Math.max(1, Math.hypot(p.x - other.x, p.y - other.y));
    this.stage.view.pan((at.x - before.x) / 2, (at.y - before.y) / 2);
    this.stage.view.zoom(middle, gap(at) / gap(before));
    this.stage.redraw();
  }

  /** @param {PointerEvent} event */
  #up(event) {
    this.fingers.delete(event.pointerId);
    if (this.mode === "pinch") {
      if (this.fingers.size === 0) this.#become("idle");
      return;
    }
    if (event.pointerId !== this.pointer || this.mode === "idle") return;
    if (this.mode === "stroke") this.painter.end();
    this.pointer = -1;
    this.#become("idle");
    if (event.pointerType === "touch") this.stage.showRing(null);
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    if (!this.painter.ready()) return;
    event.preventDefault();
    if (this.mode === "stroke") return;
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_HEIGHT : 1;
    // A trackpad's pinch arrives as a wheel with ctrl held and small steps.
    const speed = event.ctrlKey ? 0.01 : 0.0015;
    this.stage.view.zoom(this.stage.locate(event), Math.exp(-event.deltaY * lines * speed));
    this.stage.redraw();
    this.refreshRing();
  }
}
