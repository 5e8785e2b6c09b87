/** The canvas's keys: they act only while the canvas has focus or the pointer, and never while text is being typed. */

/**
 * @typedef {object} KeyActions
 * @property {(kind: import("./canvas_tool.js").Kind) => void} hold  takes a tool
 * @property {(direction: 1 | -1) => void} resize
 * @property {(direction: 1 | -1) => void} harden
 * @property {() => void} undo
 * @property {() => void} redo
 * @property {() => void} clear
 * @property {() => void} invert
 * @property {() => void} fit
 * @property {() => void} actual
 * @property {(factor: number) => void} zoom
 * @property {() => void} copy
 * @property {() => void} help
 * @property {() => boolean} escape  whether it had anything to take back
 * @property {(held: boolean) => void} space
 */

/** @type {Record<string, import("./canvas_tool.js").Kind>} */
const TOOLS = { b: "brush", e: "eraser", l: "lasso", r: "rectangle", g: "fill", i: "eyedropper", f: "frame" };

const TYPED_INPUTS = /^(?:text|search|url|tel|email|password|number|date|time|month|week|datetime-local)$/;

/** @param {Element | null} element */
function takesText(element) {
  if (!(element instanceof HTMLElement)) return false;
  if (element.isContentEditable || element instanceof HTMLTextAreaElement || element instanceof HTMLSelectElement) return true;
  return element instanceof HTMLInputElement && TYPED_INPUTS.test(element.type);
}

/**
 * Whether keys and pasted pictures are meant for this canvas: the pointer is on it, or the focus is in it and the pointer on no other.
 * @param {Element} root
 */
export function isAttended(root) {
  const focused = document.activeElement;
  if (takesText(focused)) return false;
  const pointed = document.querySelector(".sl-painter:hover");
  return pointed ? pointed === root : root.contains(focused);
}

/**
 * @param {KeyboardEvent} event
 * @param {KeyActions} act
 * @returns {(() => void) | undefined}
 */
function actionFor(event, act) {
  const command = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (command && !event.altKey) {
    if (key === "z") return event.shiftKey ? act.redo : act.undo;
    if (key === "c") return getSelection()?.isCollapsed === false ? undefined : act.copy;
    return { y: act.redo, i: act.invert }[key];
  }
  if (command || event.altKey) return undefined;
  if (TOOLS[key]) return () => act.hold(TOOLS[key]);
  /** @type {Record<string, () => void>} */
  const plain = {
    "[": () => act.resize(-1),
    "]": () => act.resize(1),
    "{": () => act.harden(-1),
    "}": () => act.harden(1),
    delete: act.clear,
    0: act.fit,
    1: act.actual,
    "+": () => act.zoom(1.25),
    "=": () => act.zoom(1.25),
    "-": () => act.zoom(0.8),
    "?": act.help,
  };
  return plain[key];
}

/**
 * @param {HTMLElement} root  the whole canvas with its toolbar
 * @param {HTMLElement} stage  where space means "move", not "press the focused button"
 * @param {() => boolean} ready  whether there is a picture
 * @param {KeyActions} act
 * @param {AbortSignal} signal
 */
export function listenForKeys(root, stage, ready, act, signal) {
  let held = false;
  const release = () => {
    held = false;
    act.space(false);
  };
  const down = (/** @type {KeyboardEvent} */ event) => {
    const card = event.target instanceof Element ? event.target.closest("dialog") : null;
    if (event.defaultPrevented || (card && !card.contains(root)) || !ready() || !isAttended(root)) return;
    if (event.key === " " && (stage.matches(":hover") || document.activeElement === stage)) {
      event.preventDefault();
      if (!held) act.space((held = true));
      return;
    }
    if (event.key === "Escape") {
      if (!act.escape()) return;
      event.stopPropagation();
      event.preventDefault(); // a card around the canvas stays open too
      return;
    }
    const action = actionFor(event, act);
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  };
  const up = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== " " || !held) return;
    event.preventDefault();
    release();
  };
  // Capturing, so that the page's own keys (Escape cancels a job) come second.
  document.addEventListener("keydown", down, { signal, capture: true });
  document.addEventListener("keyup", up, { signal, capture: true });
  window.addEventListener("blur", release, { signal });
}
