// Painting the map of a unit: a canvas over the page, in the colours that mean something to what is steered by it.

import { api, uploadUrl } from "./api.js";
import { fitting, offer, preprocessor, suiting } from "./control_offer.js";
import { button, el, fill } from "./dom.js";
import * as form from "./form.js";
import { keepBlob, keptBlob, store } from "./store.js";

const DIM = 0.45; // of the picture under a map
const FINE = 50; // a line is so many times thinner than the picture
const PARTS = ["state", "picture", "sketch", "mask", "control"]; // of what a canvas keeps
// What is painted most, first; the others follow by name.
const COMMON = [
  "sky", "tree", "grass", "person", "building", "water", "road", "mountain", "sea", "sand", "earth", "rock", "plant", "flower", "house",
  "wall", "floor", "ceiling", "windowpane", "door", "field", "river", "path", "hill", "car", "animal", "table", "chair", "bed", "sofa",
]; // prettier-ignore
const LINES = [
  { label: "Line", color: "#ffffff" },
  { label: "Ground", color: "#000000" },
];

let closing = Promise.resolve(); // until what was painted last is kept

// `map`: painted on black in colours that mean something; else over the picture, in any.
const KINDS = {
  areas: {
    title: "Areas",
    words: "Say what is where: each colour stands for a thing. What stays black is left to the prompt.",
    suits: "segmentation",
    map: true,
  },
  lines: { title: "Lines", words: "Draw white lines on black, as roughly as you like.", suits: "scribble", map: true },
  colours: {
    title: "Colours",
    words: "Lay out the picture in rough patches of colour. This steers without a ControlNet too.",
    suits: "colour",
    map: false,
  },
};

/** What a unit would be painted as. */
function kindOf({ preprocessor: name, model }) {
  if (name === "segmentation") return "areas";
  if (preprocessor(name)?.steering !== "model") return "colours";
  const words = preprocessor("segmentation")?.suits ?? [];
  return name === "none" && words.some((word) => model.toLowerCase().includes(word)) ? "areas" : "lines";
}

function classes(kind) {
  if (kind !== "areas") return LINES;
  const rank = ({ label }) => (COMMON.includes(label) ? COMMON.indexOf(label) : COMMON.length);
  const all = offer().segmentation.map(({ name, colour }) => ({ label: name, color: colour }));
  return all.sort((one, other) => rank(one) - rank(other) || one.label.localeCompare(other.label));
}

const shelf = ({ key }, kind) => ({
  read: (name) => keptBlob(`paint ${key} ${kind} ${name}`),
  write: (name, value) => keepBlob(`paint ${key} ${kind} ${name}`, value),
});

/** Lets go of what was painted for a unit. */
export function forget(unit) {
  if (!unit.painting) return;
  for (const kind of Object.keys(KINDS)) for (const part of PARTS) shelf(unit.painting, kind).write(part, null).catch(() => {});
  delete unit.painting;
}

/** What a unit remembers of its painting. `map`: the kind of which the picture beneath is a map already, so that it is gone on with. */
function begun(unit) {
  const kind = kindOf(unit);
  const map = unit.image && ["none", "segmentation"].includes(unit.preprocessor) ? kind : null;
  return { key: crypto.getRandomValues(new Uint32Array(2)).join(""), kind, beneath: unit.image?.id ?? null, map };
}

/**
 * Opens the canvas for a unit, with what was painted there before. `changed` is called when what the page remembers has changed,
 * `take` with the unit's new values when it is done.
 */
export function paint({ task, unit, title, changed, take }) {
  unit.painting ??= begun(unit);
  const { painting } = unit;
  const { card, place, turn: tell, finish } = sheet(title, (kind) => turned(kind), () => done()); // prettier-ignore
  let canvas = null;
  let turning = closing;

  const leave = async () => {
    canvas?.settle();
    await canvas?.keeper.write();
    canvas?.destroy();
    canvas = null;
  };
  const turn = async (kind) => {
    await leave();
    painting.kind = kind;
    changed();
    tell(kind);
    canvas = await spread(place, { task, unit, kind });
    canvas.focus();
  };
  const turned = (kind) => (turning = turning.then(() => turn(kind)));
  const done = async () => {
    finish.disabled = true;
    try {
      await turning;
      const blob = await (KINDS[painting.kind].map ? canvas.exportLayer("control") : canvas.exportPicture());
      const { id, width, height } = await api.upload(blob);
      card.close();
      take({ image: { id, width, height, name: "Painted" }, ...steering(task, unit, painting.kind) });
    } catch (error) {
      canvas?.say(error.message);
      finish.disabled = false;
    }
  };
  card.addEventListener("close", () => {
    card.remove();
    closing = turning.then(leave);
  });
  document.body.append(card);
  card.showModal();
  turned(painting.kind);
}

/** The card over the page: what can be painted above, the place for the canvas below. */
function sheet(title, turned, done) {
  const name = `${title}: paint`;
  const place = el("div", { class: "sl-paint-place" });
  const words = el("p", { class: "sl-paint-words" });
  const pick = ([kind, { title: text }]) => el("button", { type: "button", text, data: { kind }, on: { click: () => turned(kind) } });
  const kinds = el("div", { class: "sl-switcher", role: "group", aria: { label: "What is painted" } }, ...Object.entries(KINDS).map(pick));
  const finish = button({ label: "Done", kind: "primary", title: "Done (Ctrl+Enter)", onclick: done });
  const kept = "Close: what is painted is kept for the next time";
  const away = button({ label: "Close", title: kept, icon: "close", quiet: true, onclick: () => card.close() });
  const head = el("div", { class: "sl-paint-head" }, el("h2", { text: name }), kinds, el("div", {}, finish, away));
  const card = el("dialog", { class: "sl-paint", aria: { label: name } }, head, words, place);
  alone(card, () => finish.click());
  const turn = (kind) => {
    words.textContent = KINDS[kind].words;
    for (const each of kinds.children) each.setAttribute("aria-pressed", String(each.dataset.kind === kind));
  };
  return { card, place, turn, finish };
}

/** What is pressed, dropped or pasted here is meant for this and not for the page behind it. */
function alone(card, done) {
  card.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) done();
  });
  for (const name of ["dragover", "drop", "paste"]) card.addEventListener(name, (event) => event.stopPropagation());
  for (const name of ["dragover", "drop"]) card.addEventListener(name, (event) => event.preventDefault());
}

/** The canvas for one kind, with what was painted before, or over the picture that the unit had. */
async function spread(place, { task, unit, kind }) {
  const { map } = KINDS[kind];
  fill(place);
  const canvas = window.safelight.canvas.mount(place, {
    layers: ["picture", map ? "control" : "sketch"],
    classes: map ? classes(kind) : undefined,
    keep: shelf(unit.painting, kind),
    label: `Canvas for ${KINDS[kind].title.toLowerCase()}`,
  });
  if ((await canvas.restored) && !(map && canvas.stage.sheet.control.isEmpty())) return canvas;
  const { paper, empty } = await ground(task, unit, map);
  await canvas.setPicture(await new Promise((made) => paper.toBlob(made, "image/png")));
  if (kind === "lines") canvas.tool.resize(Math.min(paper.width, paper.height) / FINE);
  if (!map || empty) return canvas;
  if (kind === unit.painting.map) canvas.setControl(paper);
  else canvas.look("picture", { opacity: DIM });
  return canvas;
}

/** What lies beneath: the picture that the unit had or that the tab starts from, in the shape of what is made; or nothing. */
async function ground(task, { painting }, map) {
  const [width, height] = ["width", "height"].map((side) => form.value(task, side) ?? 512);
  const paper = el("canvas", { width, height });
  const context = paper.getContext("2d");
  context.fillStyle = map ? "#000000" : "#f4ede1";
  context.fillRect(0, 0, width, height);
  const beneath = painting.beneath ?? store.pictures[task]?.id;
  if (!beneath) return { paper, empty: true };
  const picture = el("img", { src: uploadUrl(beneath) });
  try {
    await picture.decode();
  } catch {
    return { paper, empty: true }; // it is no longer kept: there is nothing to lie beneath
  }
  const { naturalWidth: wide, naturalHeight: high } = picture;
  const scale = Math.max(width / wide, height / high);
  context.drawImage(picture, (width - wide * scale) / 2, (height - high * scale) / 2, wide * scale, high * scale);
  return { paper, empty: false };
}

/** How a unit goes about what was painted; a ControlNet that was chosen for it stays. */
function steering(task, unit, kind) {
  const suited = suiting(task, KINDS[kind].suits);
  const name = kind === "areas" ? "segmentation" : "none";
  const kept = unit.preprocessor === name && fitting(task).some((net) => net.name === unit.model);
  if (kind === "colours") {
    const steers = preprocessor(unit.preprocessor)?.steering !== "model"; // by what it looks like
    return steers ? {} : { preprocessor: "colour", parameters: {}, model: suited };
  }
  return { preprocessor: name, parameters: {}, model: kept ? unit.model : suited || unit.model };
}
