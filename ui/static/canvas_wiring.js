/** What the canvas does when a button, a key, a pointer or a file asks for it. */

import { transparencyMask } from "./canvas_files.js";
import { chooseFile } from "./canvas_sources.js";

/** @typedef {import("./canvas.js").MaskCanvas} MaskCanvas */

/** @param {MaskCanvas} canvas */
export function choosePicture(canvas) {
  chooseFile((file) => void canvas.takePicture(file));
}

/** @param {MaskCanvas} canvas */
function middle(canvas) {
  const { width, height } = canvas.stage.view.stage;
  return { x: width / 2, y: height / 2 };
}

/**
 * What buttons and keys have in common.
 * @param {MaskCanvas} canvas
 */
function edits(canvas) {
  const hold = (/** @type {boolean} */ erasing) => {
    canvas.tool.erasing = erasing;
    canvas.refresh();
  };
  return {
    brush: () => hold(false),
    eraser: () => hold(true),
    undo: () => canvas.undo(),
    redo: () => canvas.redo(),
    invert: () => canvas.invert(),
    clear: () => canvas.clear(),
    fit: () => canvas.fit(),
  };
}

/**
 * @param {MaskCanvas} canvas
 * @returns {import("./canvas_toolbar.js").ToolActions}
 */
export function toolActions(canvas) {
  return {
    ...edits(canvas),
    size: (size) => {
      canvas.tool.resize(size);
      canvas.refresh();
      canvas.stage.flashRing(middle(canvas), canvas.tool.size);
    },
    uploadMask: () => chooseFile((file) => void canvas.setMask(file)),
    transparency: () => {
      const { picture } = canvas.stage;
      if (picture) canvas.edit((mask) => mask.replace(transparencyMask(picture)));
    },
    pressure: () => {
      canvas.tool.pressure = !canvas.tool.pressure;
      canvas.refresh();
    },
    picture: () => choosePicture(canvas),
  };
}

/**
 * @param {MaskCanvas} canvas
 * @returns {import("./canvas_keys.js").KeyActions}
 */
export function keyActions(canvas) {
  return {
    ...edits(canvas),
    resize: (direction) => {
      canvas.tool.step(direction);
      canvas.refresh();
      canvas.gestures.refreshRing();
    },
    zoom: (factor) => {
      canvas.stage.view.zoom(middle(canvas), factor);
      canvas.stage.redraw();
      canvas.gestures.refreshRing();
    },
    escape: () => {
      const { busy } = canvas.gestures;
      canvas.gestures.abandon();
      return busy;
    },
    space: (held) => canvas.gestures.holdSpace(held),
  };
}

/**
 * @param {MaskCanvas} canvas
 * @returns {import("./canvas_input.js").Painter}
 */
export function painter(canvas) {
  const { stage, tool } = canvas;
  return {
    sizeFor: (event) => tool.sizeFor(event),
    ready: () => canvas.hasPicture(),
    // Who has a pen at hand rests the hand on the glass and moves the picture with a finger.
    paints: (event) => !(tool.pen && event.pointerType === "touch"),
    begin: (point, event) => {
      if (event.pointerType === "pen" && !tool.pen) {
        tool.pen = true;
        canvas.refresh();
      }
      stage.mask?.beginStroke(point, tool.brushFor(event));
    },
    draw: (point, event) => stage.mask?.continueStroke(point, tool.sizeFor(event)),
    end: () => canvas.settle(),
    abandon: () => stage.mask?.cancelStroke(),
  };
}

/**
 * @param {MaskCanvas} canvas
 * @returns {import("./canvas_sources.js").Receiver}
 */
export function receiver(canvas) {
  return {
    hasPicture: () => canvas.hasPicture(),
    picture: (source) => void canvas.takePicture(source),
    mask: (source) => void canvas.setMask(source),
  };
}
