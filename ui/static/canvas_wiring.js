/** What the canvas does when a button, a key or a file asks for it. */

import { maskEdits } from "./canvas_edits.js";
import { blankPicture } from "./canvas_files.js";
import { NO_FRAME } from "./canvas_frame.js";
import { chooseFile } from "./canvas_sources.js";
import { colourWord } from "./canvas_tool.js";

/**
 * @typedef {import("./canvas.js").StudioCanvas} StudioCanvas
 * @typedef {import("./canvas_sheet.js").LayerName} LayerName
 * @typedef {ReturnType<typeof actions>} Actions
 */

/** @param {StudioCanvas} canvas */
function middle(canvas) {
  const { width, height } = canvas.stage.view.stage;
  return { x: width / 2, y: height / 2 };
}

/**
 * Hands a file to the person at the page.
 * @param {Blob} blob
 * @param {string} name
 */
function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/**
 * Everything that buttons and keys can ask for.
 * @param {StudioCanvas} canvas
 */
export function actions(canvas) {
  return { ...toolActions(canvas), ...layerActions(canvas), ...pictureActions(canvas), ...viewActions(canvas), ...frameActions(canvas) };
}

/** @param {StudioCanvas} canvas */
function toolActions(canvas) {
  const { tool } = canvas;
  const set = (/** @type {Partial<import("./canvas_tool.js").Tool>} */ values) => {
    Object.assign(tool, values);
    canvas.habit();
  };
  const flash = () => canvas.stage.flashRing(middle(canvas), tool.size, tool.softness);
  return {
    hold: (/** @type {import("./canvas_tool.js").Kind} */ kind) => canvas.hold(kind),
    size: (/** @type {number} */ size) => {
      tool.resize(size);
      canvas.habit();
      flash();
    },
    resize: (/** @type {1 | -1} */ direction) => {
      tool.step(direction);
      canvas.habit();
      canvas.gestures.refreshRing();
    },
    harden: (/** @type {1 | -1} */ direction) => {
      tool.harden(direction);
      canvas.habit();
      canvas.gestures.refreshRing();
    },
    hardness: (/** @type {number} */ share) => {
      set({ softness: 1 - share / 100 });
      flash();
    },
    opacity: (/** @type {number} */ share) => set({ opacity: share / 100 }),
    tolerance: (/** @type {number} */ tolerance) => set({ tolerance }),
    distance: (/** @type {number} */ distance) => set({ distance: Math.min(256, Math.max(1, Math.round(distance))) }),
    everywhere: () => set({ everywhere: !tool.everywhere }),
    subtract: () => set({ subtract: !tool.subtract }),
    pressure: () => set({ pressure: !tool.pressure }),
    colour: (/** @type {string} */ colour) => {
      tool.paintWith(colour);
      canvas.habit();
    },
  };
}

/** @param {StudioCanvas} canvas */
function layerActions(canvas) {
  const { grow, shrink, feather, transparency } = maskEdits(canvas);
  return {
    undo: () => canvas.undo(),
    redo: () => canvas.redo(),
    invert: () => canvas.invert(),
    clear: () => canvas.clear(),
    grow,
    shrink,
    feather,
    transparency,
    layer: (/** @type {LayerName} */ name) => canvas.activate(name),
    look: (/** @type {LayerName} */ name) => canvas.look(name, { shown: !canvas.looks[name].shown }),
    strength: (/** @type {LayerName} */ name, /** @type {number} */ share) => canvas.look(name, { opacity: share / 100 }),
    uploadMask: () => chooseFile((file) => void canvas.setMask(file)),
    saveMask: () => void canvas.exportMask().then((blob) => download(blob, "mask.png")),
    maskFromColour: () => {
      canvas.activate("mask");
      canvas.tool.everywhere = true;
      canvas.tool.subtract = false;
      canvas.hold("fill");
    },
  };
}

/** @param {StudioCanvas} canvas */
function pictureActions(canvas) {
  return {
    picture: () => chooseFile((file) => void canvas.takePicture(file)),
    blank: (/** @type {number} */ width, /** @type {number} */ height, /** @type {string} */ colour) =>
      void blankPicture(width, height, colourWord(colour)).then((file) => canvas.takePicture(file), canvas.complain),
    copy: () => void copy(canvas),
    savePicture: () => void canvas.exportPicture().then((blob) => download(blob, "picture.png")),
  };
}

/** @param {StudioCanvas} canvas */
async function copy(canvas) {
  if (!navigator.clipboard?.write) {
    return canvas.say("Pictures can be copied only where the studio is opened over https or on this machine.");
  }
  try {
    // The promise is handed over as it is: a browser may forbid what comes too long after the click.
    await navigator.clipboard.write([new ClipboardItem({ "image/png": canvas.exportPicture() })]);
    canvas.say("The picture is on the clipboard.", true);
  } catch {
    canvas.say("The browser did not let the picture be copied.");
  }
}

/** @param {StudioCanvas} canvas */
function viewActions(canvas) {
  const { stage } = canvas;
  const looked = () => {
    stage.redraw();
    canvas.gestures.refreshRing();
  };
  return {
    fit: () => canvas.fit(),
    actual: () => {
      stage.view.actual();
      looked();
    },
    zoom: (/** @type {number} */ factor) => {
      stage.view.zoom(middle(canvas), factor);
      looked();
    },
    help: () => canvas.help.showModal(),
    escape: () => {
      const { busy } = canvas.gestures;
      canvas.gestures.abandon();
      return busy;
    },
    space: (/** @type {boolean} */ held) => canvas.gestures.holdSpace(held),
  };
}

/** @param {StudioCanvas} canvas */
function frameActions(canvas) {
  return {
    side: (/** @type {import("./canvas_frame.js").Side} */ side, /** @type {number} */ value) => canvas.setFrame({ [side]: value }),
    resetFrame: () => canvas.setFrame(NO_FRAME),
    overlap: (/** @type {number} */ pixels) => canvas.setOverlap(pixels),
  };
}

/**
 * @param {StudioCanvas} canvas
 * @returns {import("./canvas_sources.js").Receiver}
 */
export function receiver(canvas) {
  return {
    takesMask: () => canvas.hasPicture() && Boolean(canvas.stage.sheet?.mask),
    picture: (source) => void canvas.takePicture(source),
    mask: (source) => void canvas.setMask(source),
  };
}
