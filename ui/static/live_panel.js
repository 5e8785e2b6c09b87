// What is seen of Live mode: its switch, and the picture that follows, with how fast it does and what can be done with it.

import { api } from "./api.js";
import { on, tell } from "./bus.js";
import { go } from "./dock.js";
import { button, el, fill, say } from "./dom.js";
import { size } from "./fit.js";
import * as jobs from "./jobs.js";
import * as live from "./live.js";
import * as notices from "./notices.js";
import { store } from "./store.js";

const CALM = 500; // ms between two changes of the reading

const parts = {};
let read = 0; // when the reading was last changed

/** The switch above the stage. */
export function liveSwitch() {
  const title = "Makes a picture of what you paint or type while you do it, in at most 8 steps";
  const node = el("button", { type: "button", class: "sl-live-switch", title, on: { click: turn } }, el("i", {}), "Live");
  const draw = () => {
    node.hidden = !live.able(store.tab);
    node.setAttribute("aria-pressed", String(live.isOn()));
  };
  for (const name of ["live", "tab", "view"]) on(name, draw);
  on("live-busy", (busy) => node.toggleAttribute("data-busy", busy));
  draw();
  return node;
}

function turn() {
  live.toggle();
  const canvas = document.querySelector(".sl-canvas:not([hidden]) .sl-canvas-of:not([hidden]) .sl-painter-stage");
  if (live.isOn() && matchMedia("(max-width: 999px)").matches) canvas?.scrollIntoView({ block: "start", behavior: "smooth" });
}

/** The place of the live picture on the stage. */
export function livePanel() {
  parts.room = el("div", { class: "sl-live-room" });
  parts.words = el("p", { class: "sl-live-words" });
  parts.keep = button({ label: "Keep", icon: "plus", kind: "ghost", onclick: keep, title: "Put this picture among those you made" });
  parts.full = button({ label: "Make it in full", icon: "enlarge", kind: "ghost", onclick: full, title: "With all the steps you set, and this seed" });
  const foot = el("div", { class: "sl-live-foot" }, parts.words, el("div", { class: "sl-live-tools" }, parts.keep, parts.full));
  new ResizeObserver(resize).observe(parts.room);
  on("live", draw);
  on("live-picture", show);
  on("live-busy", (busy) => parts.panel.setAttribute("aria-busy", String(busy)));
  return (parts.panel = el("section", { class: "sl-live", hidden: true, aria: { label: "Live picture" } }, parts.room, foot));
}

/** Shows the panel where Live mode is seen; whether it is. */
export function drawPanel() {
  parts.panel.hidden = !live.shown();
  parts.panel.parentElement?.toggleAttribute("data-live", live.shown());
  return live.shown();
}

function draw() {
  const hint = live.hinted();
  if (!live.made() || hint) empty(hint || "What you paint or type appears here.");
  tools();
  tell("canvas"); // which shares the stage
}

function empty(words) {
  parts.picture = null;
  fill(parts.room, el("p", { class: "sl-live-hint", text: words }));
  say(parts.words, "");
}

function tools() {
  const made = live.made();
  parts.keep.disabled = !made || parts.kept === made.id;
  parts.full.disabled = live.seed() === null;
  parts.keep.querySelector("span").textContent = made && parts.kept === made.id ? "Kept" : "Keep";
}

/** A picture takes the place of the last only when it is ready to be seen, so that nothing flickers. */
async function show({ picture, job, drawn, early }) {
  const image = el("img", { class: "sl-live-picture", alt: `Live picture: ${job.request.prompt || "no prompt"}`, src: URL.createObjectURL(picture) });
  image.dataset.job = job.id;
  await image.decode().catch(() => {});
  URL.revokeObjectURL(image.src);
  if (live.shown() && !early?.aborted && !live.hinted()) {
    const { width, height } = early ? (parts.pixels ?? job.request) : { width: image.naturalWidth, height: image.naturalHeight };
    parts.picture = image;
    parts.pixels = early ? parts.pixels : { width, height };
    size(image, space(), { width, height });
    fill(parts.room, image);
    if (!early) told();
  }
  drawn();
}

function told() {
  tools();
  if (performance.now() - read < CALM) return;
  read = performance.now();
  const seconds = live.pace();
  const rate = seconds < 1 ? `${(1 / seconds).toFixed(1)} pictures a second` : `${seconds.toFixed(1)} s a picture`;
  say(parts.words, `${rate} · seed ${live.seed()}`);
}

function resize() {
  if (parts.picture && parts.room.clientWidth) size(parts.picture, space(), parts.pixels);
}

const space = () => ({ width: parts.room.clientWidth, height: parts.room.clientHeight });

async function keep() {
  const { id } = live.made();
  parts.kept = id;
  tools();
  try {
    const job = await api.turn(id, "keep");
    jobs.note(job);
  } catch (error) {
    parts.kept = null;
    tools();
    notices.show(error.status === 404 ? "This picture is gone already; keep a newer one." : error.message, { key: "live" });
  }
}

const full = () => go({ seed: live.seed() });
