// The models: everything there is, told apart by kind, searched, looked at closely. Loaded when it is first opened.
//
// On a wide page it lies over the stage, so that prompt and settings stay at hand; on a narrow one over everything.

import { libraryApi as api } from "./library_api.js";
import { on, tell } from "./bus.js";
import { button, el, fill, say } from "./dom.js";
import { details } from "./library_details.js";
import { downloads } from "./library_downloads.js";
import { grid } from "./library_grid.js";
import * as notices from "./notices.js";

const STYLES = ["library.css", "library_narrow.css", "library_model.css", "library_get.css"];
const WIDE = "(min-width: 1000px)";
const BELOW = "#sl-column, [data-mount=bar]"; // what they cover on a narrow page

const parts = {};
const state = { models: [], kinds: [], kind: "", family: "", words: "", managing: false, chosen: null, page: "list" };
let room = null;
let making = null;
let back = null; // who had the focus before

export const isOpen = () => Boolean(room && !room.hidden);

export async function toggle() {
  if (isOpen()) return close();
  await open();
}

/** Show the models; those of one kind if it is named. */
export async function open(kind = null) {
  await (making ??= make());
  if (kind !== null) state.kind = kind;
  back = document.activeElement;
  room.hidden = false;
  covered(true);
  tell("library", true);
  (matchMedia(WIDE).matches ? parts.search : room).focus({ preventScroll: true }); // on a phone the keyboard would come up
  await refresh();
  if (state.managing) parts.details.look();
  downloads.watch(state.managing);
}

/** Show what can be downloaded from a repository, to whom may do that. */
export async function get(source) {
  if (!isOpen()) await open();
  if (!state.managing) return;
  show("downloads");
  await downloads.look(source);
}

export function close() {
  if (!isOpen()) return;
  room.hidden = true;
  covered(false);
  downloads.watch(false);
  tell("library", false);
  if (back?.isConnected && back !== document.body) back.focus({ preventScroll: true });
}

/** The stage gives way to them; what lies below them on a narrow page takes no clicks and no Tab. */
function covered(is) {
  const wide = matchMedia(WIDE).matches;
  for (const part of document.querySelectorAll(BELOW)) part.inert = is && !wide;
  document.body.toggleAttribute("data-library", is);
}

async function make() {
  await styled();
  parts.search = el("input", { type: "search", placeholder: "Search name, words, hash", aria: { label: "Search models" }, on: { input: search } });
  parts.family = el("select", { aria: { label: "Family" }, on: { change: () => ((state.family = parts.family.value), draw()) } });
  parts.kinds = el("div", { class: "sl-kinds", role: "group", aria: { label: "Kind" } });
  parts.get = button({ label: "Download", icon: "download", kind: "ghost", onclick: () => show(state.page === "downloads" ? "list" : "downloads") });
  parts.count = el("p", { class: "sl-unseen", role: "status" });
  parts.grid = grid(choose);
  parts.details = details({ changed, arrived: refresh, close: () => choose(null), close_room: close });
  parts.list = el("div", { class: "sl-shelf" }, parts.grid.node, parts.details.node);
  parts.downloads = downloads.make({ arrived: refresh });
  const shut = button({ label: "Close models", title: "Close (Esc)", icon: "close", quiet: true, onclick: close });
  const head = el("header", { class: "sl-library-head" }, el("h2", { text: "Models" }), parts.search, parts.family, parts.get, shut);
  room = el("section", { class: "sl-library", hidden: true, tabindex: "-1", aria: { label: "Models" } }, head, parts.kinds, parts.list, parts.downloads, parts.count);
  room.addEventListener("keydown", keys);
  document.querySelector("[data-mount=stage]").append(room);
  on("submitted", close);
  on("loaded", () => isOpen() && refresh());
  on("models", () => isOpen() && refresh());
  matchMedia(WIDE).addEventListener("change", () => isOpen() && covered(true));
}

/** The style sheets come with the first opening, so that the page starts without them. */
function styled() {
  const one = (name) =>
    new Promise((done) => {
      const href = new URL(`./${name}`, import.meta.url).href;
      document.head.append(el("link", { rel: "stylesheet", href, on: { load: done, error: done } }));
    });
  return Promise.all(STYLES.map(one));
}

function keys(event) {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  event.preventDefault(); // it cancels no picture
  if (event.target === parts.search && parts.search.value) {
    parts.search.value = "";
    search();
  } else if (state.page === "downloads") show("list");
  else if (state.chosen) choose(null);
  else close();
}

// -- what is shown ----------------------------------------------------------------------------------------------------

export async function refresh() {
  try {
    const found = await api.library();
    Object.assign(state, { models: found.models, kinds: found.kinds, managing: found.managing });
  } catch (error) {
    notices.show(error.message, { key: "library" });
    return;
  }
  draw();
}

function draw() {
  parts.get.hidden = !state.managing;
  families();
  kinds();
  const shown = matching();
  parts.grid.draw(shown, state.chosen, empty());
  say(parts.count, `${shown.length} ${shown.length === 1 ? "model" : "models"}`);
  const chosen = state.models.find((each) => same(each, state.chosen));
  if (state.chosen && !chosen) state.chosen = null;
  parts.details.draw(chosen ?? null, state);
  parts.list.toggleAttribute("data-chosen", Boolean(chosen));
}

const same = (one, other) => one?.kind === other?.kind && one?.name === other?.name;

function matching() {
  const words = state.words.toLowerCase().split(/\s+/).filter(Boolean);
  return state.models.filter(
    (model) =>
      (!state.kind || model.kind === state.kind) &&
      (!state.family || family(model) === state.family) &&
      words.every((word) => haystack(model).includes(word)),
  );
}

const family = (model) => model.family_title || model.base_model || "";

function haystack(model) {
  const { name, title, notes, summary, trigger_words: triggers, tags, sha256, short_hash: short, autov3 } = model;
  return [name, title, family(model), notes, summary, ...triggers, ...tags, sha256, short, autov3].filter(Boolean).join("\n").toLowerCase();
}

function families() {
  const known = [...new Set(state.models.map(family).filter(Boolean))].sort();
  if (!known.includes(state.family)) state.family = "";
  fill(parts.family, el("option", { value: "", text: "All families" }), ...known.map((each) => el("option", { value: each, text: each })));
  parts.family.value = state.family;
  parts.family.hidden = known.length < 2;
}

function kinds() {
  const all = { name: "", plural: "All", count: state.models.length };
  const listed = [all, ...state.kinds.filter((kind) => kind.count || kind.name === state.kind)];
  const held = parts.kinds.contains(document.activeElement) ? document.activeElement.dataset.kind : null;
  const one = ({ name, plural, count }) => {
    const pick = () => {
      state.kind = name;
      show("list");
    };
    const pressed = String(name === state.kind && state.page === "list");
    const words = [el("span", { text: plural }), " ", el("span", { class: "sl-kind-count", text: String(count) })];
    return el("button", { type: "button", data: { kind: name }, aria: { pressed }, on: { click: pick } }, ...words);
  };
  fill(parts.kinds, ...listed.map(one));
  if (held !== null) parts.kinds.querySelector(`[data-kind="${held}"]`)?.focus();
}

function empty() {
  if (!state.models.length) return "Nothing is here yet. Put models into the folders below models, or download one.";
  return "Nothing fits. Try other words, or another kind.";
}

function search() {
  state.words = parts.search.value;
  if (state.page !== "list") show("list");
  else draw();
}

function choose(model) {
  const before = state.chosen;
  state.chosen = model ? { kind: model.kind, name: model.name } : null;
  draw();
  if (model) {
    parts.grid.reveal(); // with less room for it, the shelf is another
    parts.details.focus();
  } else parts.grid.focus(before);
}

/** A model was changed here: the studio's answer replaces what was known of it. */
function changed(model) {
  const at = state.models.findIndex((each) => same(each, model));
  if (at >= 0) state.models[at] = model;
  draw();
}

function show(page) {
  state.page = page;
  parts.list.hidden = page !== "list";
  parts.downloads.hidden = page !== "downloads";
  parts.get.setAttribute("aria-pressed", String(page === "downloads"));
  draw();
  if (page === "downloads") downloads.focus();
}
