/** Puts the parts of a canvas together and into the page. */

import { CARET_HELP, followKeyboard } from "./canvas_caret.js";
import { ClassList } from "./canvas_classes.js";
import { make } from "./canvas_elements.js";
import { painter } from "./canvas_hands.js";
import { helpCard } from "./canvas_help.js";
import { Gestures } from "./canvas_input.js";
import { Keeper } from "./canvas_keep.js";
import { listenForKeys } from "./canvas_keys.js";
import { LayerStrip } from "./canvas_layers.js";
import { dragFrame } from "./canvas_marks.js";
import { Notice } from "./canvas_notice.js";
import { ToolOptions } from "./canvas_options.js";
import { emptyState, receivePictures } from "./canvas_sources.js";
import { Stage } from "./canvas_stage.js";
import { Toolbar, blankForm } from "./canvas_toolbar.js";
import { actions, receiver } from "./canvas_wiring.js";

/** @typedef {import("./canvas.js").StudioCanvas} StudioCanvas */

const HINT = "Then paint over what should be made anew.";

/**
 * @param {StudioCanvas} canvas
 * @param {HTMLElement} host
 * @param {AbortSignal} signal
 */
export function buildCanvas(canvas, host, signal) {
  const { options } = canvas;
  const act = actions(canvas);
  const root = make("section", "sl-painter");
  root.setAttribute("aria-label", options.label ?? "Canvas");
  const stage = new Stage(canvas.looks);
  canvas.stage = stage;
  stage.element.setAttribute("role", "application");
  const toolbar = new Toolbar(act, options, signal);
  const settings = new ToolOptions(act);
  const strip = new LayerStrip(options.layers ?? [], act);
  const help = helpCard();
  const blank = options.blank ? blankForm(act, options.blank) : null;
  const notice = new Notice();
  stage.element.append(emptyState(act.picture, options.hint ?? HINT, blank), notice.element);
  stage.onview = () => strip.measure(canvas);
  const classes = options.classes ? [new ClassList(act, options.classes)] : [];
  root.append(toolbar.element, settings.element, stage.element, ...classes.map((each) => each.element), strip.element, help);
  host.append(root);

  const gestures = new Gestures(stage, painter(canvas), signal);
  listenForKeys(root, stage.element, () => canvas.hasPicture(), act, signal);
  followKeyboard(canvas, signal);
  if (!options.classes) receivePictures(root, stage.element, receiver(canvas), signal);
  dragFrame(canvas, signal);
  const keeper = options.keep ? new Keeper(canvas, options.keep, signal) : null;
  return { root, stage, gestures, help, keeper, say: notice.say, refresh: () => refresh(canvas, [toolbar, settings, strip, ...classes]) };
}

/**
 * Shows the state of a canvas in all its parts.
 * @param {StudioCanvas} canvas
 * @param {{update: (canvas: StudioCanvas) => void}[]} parts
 */
function refresh(canvas, parts) {
  const { sheet, element, marks, view } = canvas.stage;
  canvas.root.classList.toggle("sl-painter-filled", sheet !== null);
  element.setAttribute("aria-description", sheet ? CARET_HELP : "");
  element.setAttribute("aria-label", sheet ? `Picture, ${sheet.width} by ${sheet.height} pixels` : "No picture yet");
  const framing = canvas.tool.kind === "frame";
  if (view.roomy !== framing) {
    view.roomy = framing;
    if (view.fitted) canvas.fit();
  }
  marks.handled = framing;
  marks.place(sheet, view);
  for (const part of parts) part.update(canvas);
}
