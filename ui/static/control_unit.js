// One unit of control: its picture and the map made of it, what steers, how strongly and from when to when.

import { api, uploadUrl } from "./api.js";
import { button, el, fill, icon, pictureFile } from "./dom.js";
import { kindChoices, modelChoices, preprocessor, preview, suiting } from "./control_offer.js";
import { choice, number, range, tick } from "./control_fields.js";
import { isSmall } from "./fit.js";
import { forget, paint } from "./control_paint.js";
import * as form from "./form.js";
import * as notices from "./notices.js";
import { store } from "./store.js";

const seen = new WeakMap(); // by unit: {open, map}, which belong to the page and not to the request
const SOON = 350; // ms after a change before the map is made again
const MODES = [["Both alike", "balanced"], ["The prompt counts more", "prompt"], ["The picture counts more", "control"]];
const FITS = [["Crop to the shape", "crop"], ["Stretch to the shape", "stretch"], ["Fill around it", "fill"]];

/** A unit as it begins: the first kind that has a model here, else the one that needs none. */
export function fresh(task) {
  const model = suiting(task, "canny");
  return {
    enabled: true, image: null, preprocessor: model ? "canny" : "reference", model, controlnet_conditioning_scale: 1,
    control_guidance_start: 0, control_guidance_end: 1, control_mode: "balanced", resize_mode: "crop", pixel_perfect: true,
    resolution: 512, parameters: {}, network: "",
  }; // prettier-ignore
}

/** The row of a unit. `changed` is called after each change, `redraw` after one that other parts of the row depend on. */
export function unitRow({ task, unit, number: place, changed, redraw, remove }) {
  const made = preprocessor(unit.preprocessor);
  const map = mapTile(task, unit);
  const set = (values, again = false) => {
    Object.assign(unit, values);
    changed();
    if (again) redraw();
    else map.soon();
  };
  const title = `Control ${place}`;
  const away = button({ label: `Remove ${title.toLowerCase()}`, icon: "trash", quiet: true, onclick: remove });
  const head = el("div", { class: "sl-control-head" }, tick(title, unit.enabled, (enabled) => set({ enabled }, true)), away);
  const turn = (name) => {
    const model = suiting(task, name) || (preprocessor(name).steering === "model" ? unit.model : "");
    set({ preprocessor: name, parameters: {}, network: "", model }, true);
  };
  const kind = choice(`${title}: what is made of the picture`, kindChoices(unit), unit.preprocessor, turn);
  kind.title = made?.description ?? "";
  const model = choice(`${title}: ControlNet`, modelChoices(task, unit), unit.model, (name) => set({ model: name }, true));
  const node = el("fieldset", { class: "sl-control-unit", "aria-label": title }, head);
  if (!unit.enabled) return node;
  node.append(
    el("div", { class: "sl-control-pictures" }, pictureTile({ task, unit, title, changed }, (values) => set(values, true)), made?.changes ? map.node : null),
    el("div", { class: "sl-control-lists" }, kind, made?.steering === "attention" ? null : model),
    el("p", { class: "sl-control-about", text: about(unit, made) }),
    ...sliders(unit, set, made),
    more(unit, set, made),
  );
  return node;
}

function about(unit, made) {
  if (!made) return "";
  if (made.missing) return made.missing.sentence;
  if (unit.model || made.steering === "attention") return made.description;
  const without = { layout: "Its colours and coarse layout are kept to.", model: "It steers by way of a ControlNet." }[made.steering];
  return `${made.description} ${without}`;
}

function sliders(unit, set, made) {
  const most = made?.steering === "model" || unit.model ? 2 : 1;
  const strength = { value: Math.min(unit.controlnet_conditioning_scale, most), low: 0, high: most, step: 0.05 };
  const window = [unit.control_guidance_start, unit.control_guidance_end];
  const within = ([start, end]) => set({ control_guidance_start: start, control_guidance_end: end });
  return [number("Weight", strength, (value) => set({ controlnet_conditioning_scale: value })), range("Steps", window, within)];
}

/** What is seldom changed: the preprocessor's numbers, who has the last word, how the picture is fitted. */
function more(unit, set, made) {
  const own = (made?.parameters ?? []).map((rule) => {
    const given = (value) => set({ parameters: { ...unit.parameters, [rule.name]: value } });
    return number(rule.title, { ...rule, value: unit.parameters[rule.name] ?? rule.default }, given);
  });
  const weighs = made?.steering !== "layout" || unit.model;
  const plain = ([title, value]) => [title, value, true];
  const mode = choice("Which counts more", MODES.map(plain), unit.control_mode, (name) => set({ control_mode: name }));
  const fit = choice("How the picture is fitted", FITS.map(plain), unit.resize_mode, (name) => set({ resize_mode: name }));
  const lists = el("div", { class: "sl-control-lists" }, networks(unit, set, made), weighs ? mode : null, fit);
  const perfect = tick("Made at the size of the picture", unit.pixel_perfect, (on) => set({ pixel_perfect: on }, true));
  const resolution = number("Resolution", { value: unit.resolution, low: 64, high: 2048, step: 8 }, (value) => set({ resolution: value }));
  const size = made?.sized ? [perfect, unit.pixel_perfect ? null : resolution] : [];
  const details = el("details", { class: "sl-control-more" }, el("summary", { text: "More" }), ...own, lists, ...size);
  details.open = seen.get(unit)?.open ?? false;
  details.addEventListener("toggle", () => remember(unit, { open: details.open }));
  return details;
}

/** The model that makes the map, where there are several. */
function networks(unit, set, made) {
  const all = made?.networks ?? [];
  if (all.length < 2) return null;
  const chosen = all.some(({ name }) => name === unit.network) ? unit.network : all[0].name;
  return choice("The model that makes the map", all.map(({ title, name }) => [title, name, true]), chosen, (network) => set({ network }));
}

/** The picture that steers: chosen, dropped on it, or the one that the tab starts from. */
function pictureTile({ task, unit, title, changed }, set) {
  const take = (image) => {
    forget(unit); // what was painted over another picture
    set({ image });
  };
  const use = async (file) => {
    const { id, width, height } = await api.upload(file);
    take({ id, width, height, name: file.name ?? "" });
  };
  const given = (file) => use(file).catch((error) => notices.show(`${title}: ${error.message}`, { key: `control ${task}` }));
  const file = pictureFile(`${title}: picture file`, given);
  const open = el("button", { type: "button", class: "sl-control-picture", on: { click: () => file.click() }, "aria-label": `${title}: choose a picture` });
  if (unit.image) {
    const shown = el("img", { src: uploadUrl(unit.image.id), alt: unit.image.name || "The picture that steers" });
    shown.addEventListener("load", () => shown.classList.toggle("sl-crisp", isSmall(shown.naturalWidth, shown.naturalHeight)));
    shown.addEventListener("error", () => fill(open, el("span", { text: "This picture is no longer kept" })));
    open.append(shown);
  } else open.append(icon("picture"), el("span", { text: "Choose a picture, or drop one here" }));
  const start = store.pictures[task];
  const same = start && start.id !== unit.image?.id ? button({ label: "Same as start", kind: "ghost", onclick: () => take({ ...start }) }) : null;
  const brush = button({ label: "Paint", icon: "brush", kind: "ghost", onclick: () => paint({ task, unit, title, changed, take: set }) });
  brush.setAttribute("aria-label", `${title}: paint`);
  const node = el("div", { class: "sl-control-tile", data: { "takes-picture": "" }, on: { picture: ({ detail }) => given(detail) } }, open, file, el("div", { class: "sl-control-ways" }, brush, same));
  return node;
}

/** The map that is made of the picture, when it is asked for; from then on it follows every change. */
function mapTile(task, unit) {
  const node = el("div", { class: "sl-control-tile" });
  let planned = 0;
  const make = async () => {
    if (!unit.image) return;
    node.dataset.busy = "";
    try {
      const { id } = await preview({
        image: unit.image.id, preprocessor: unit.preprocessor, parameters: unit.parameters, resize_mode: unit.resize_mode,
        width: form.value(task, "width") ?? 512, height: form.value(task, "height") ?? 512, resolution: unit.pixel_perfect ? null : unit.resolution,
        network: unit.network ?? "",
      }); // prettier-ignore
      remember(unit, { map: id });
      show(id);
    } catch (error) {
      notices.show(error.message, { key: `control ${task}` });
    }
    delete node.dataset.busy;
  };
  const show = (id) => {
    const image = el("img", { src: uploadUrl(id), alt: "What is made of the picture" });
    const large = button({ label: "Show larger or smaller", quiet: true, class: "sl-control-picture", onclick: () => node.classList.toggle("sl-large") });
    large.append(image);
    fill(node, large);
  };
  const ask = el("button", { type: "button", class: "sl-control-picture", on: { click: make } }, el("span", { text: "Preview" }));
  ask.disabled = !unit.image;
  fill(node, ask);
  const soon = () => {
    clearTimeout(planned);
    if (seen.get(unit)?.map) planned = setTimeout(make, SOON);
  };
  if (seen.get(unit)?.map && unit.image) {
    show(seen.get(unit).map);
    soon();
  }
  return { node, soon };
}

function remember(unit, change) {
  seen.set(unit, { ...seen.get(unit), ...change });
}
