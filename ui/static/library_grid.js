// The shelf of models: a picture and two lines each. Long shelves are drawn as far as they are scrolled.

import { el, fill, icon } from "./dom.js";
import { previewUrl } from "./library_api.js";

const AT_ONCE = 90;

const KIND = { checkpoint: "Checkpoint", lora: "LoRA", embedding: "Embedding", vae: "VAE", upscaler: "Upscaler", controlnet: "ControlNet", preprocessor: "Preprocessor" };
const key = (model) => (model ? `${model.kind} ${model.name}` : "");

export function grid(choose) {
  const node = el("div", { class: "sl-models", role: "group", aria: { label: "Models" } });
  const more = el("div", { class: "sl-models-more" });
  let models = [];
  let drawn = 0;
  let shown = "";
  let chosen = null;

  const seen = new IntersectionObserver((entries) => entries.some((each) => each.isIntersecting) && extend(), { root: node, rootMargin: "600px" });
  seen.observe(more);

  function extend() {
    if (drawn >= models.length) return;
    const next = models.slice(drawn, drawn + AT_ONCE).map((model) => card(model, choose));
    drawn += next.length;
    more.before(...next);
    mark();
    // still in sight: the observer speaks only of changes
    requestAnimationFrame(() => more.getBoundingClientRect().top < node.getBoundingClientRect().bottom + 600 && extend());
  }

  function mark() {
    const cards = [...node.querySelectorAll(".sl-model-card")];
    const stop = cards.find((each) => each.dataset.key === key(chosen)) ?? cards[0];
    for (const each of cards) {
      each.setAttribute("aria-current", String(each.dataset.key === key(chosen)));
      each.tabIndex = each === stop ? 0 : -1;
    }
  }

  /** The shelf is one stop of the Tab key; the arrow keys go on from there. */
  node.addEventListener("keydown", (event) => {
    const cards = [...node.querySelectorAll(".sl-model-card")];
    const at = cards.indexOf(event.target.closest(".sl-model-card"));
    if (at < 0) return;
    const top = cards[0].offsetTop;
    const columns = Math.max(1, cards.findIndex((each) => each.offsetTop > top));
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -at, End: cards.length - 1 - at }[event.key];
    const next = by === undefined ? null : cards[at + by];
    if (by === undefined) return;
    event.preventDefault();
    next?.focus();
  });

  return {
    node,
    draw(list, current, nothing) {
      chosen = current;
      const now = JSON.stringify(list.map((model) => [key(model), model.title, model.preview, model.loaded, model.broken, model.size_bytes]));
      if (now === shown && drawn) return mark();
      shown = now;
      const held = node.contains(document.activeElement) ? document.activeElement.dataset.key : null;
      const place = node.scrollTop;
      models = list;
      drawn = 0;
      if (list.length) fill(node, more);
      else fill(node, el("p", { class: "sl-models-none", text: nothing }));
      extend();
      node.scrollTop = place;
      if (held) node.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus();
    },
    reveal() {
      node.querySelector('[aria-current="true"]')?.scrollIntoView({ block: "nearest" });
    },
    focus(model) {
      (node.querySelector(`[data-key="${CSS.escape(key(model))}"]`) ?? node.querySelector(".sl-model-card"))?.focus();
    },
  };
}

function card(model, choose) {
  const said = [model.family_title || model.base_model, size(model.size_bytes)].filter(Boolean).join(" · ");
  const state = model.broken ? "cannot be used" : model.loaded ? "loaded" : "";
  const words = el(
    "span",
    { class: "sl-model-words" },
    el("strong", { text: model.title }),
    el("span", { class: model.broken ? "sl-model-broken" : "", text: [state, said].filter(Boolean).join(" · ") }),
  );
  const label = `${model.title}, ${KIND[model.kind] ?? model.kind}${state ? `, ${state}` : ""}`;
  const props = { type: "button", class: "sl-model-card", data: { key: key(model) }, title: model.name, aria: { label }, on: { click: () => choose(model) } };
  const node = el("button", props, picture(model), words);
  if (model.loaded) node.dataset.loaded = "";
  return node;
}

/** The preview; where there is none or it cannot be read, the kind in words. */
export function picture(model) {
  const none = () => el("span", { class: "sl-model-picture sl-model-blank", aria: { hidden: "true" } }, icon("picture"), el("span", { text: KIND[model.kind] ?? model.kind }));
  if (!model.preview) return none();
  const image = el("img", { src: previewUrl(model), alt: "", loading: "lazy", decoding: "async", draggable: "false" });
  const frame = el("span", { class: "sl-model-picture" }, image);
  image.addEventListener("load", () => image.classList.toggle("sl-crisp", Math.max(image.naturalWidth, image.naturalHeight) <= 128));
  image.addEventListener("error", () => frame.replaceWith(none()));
  return frame;
}

export const kindOf = (model) => KIND[model.kind] ?? model.kind;

export function size(bytes) {
  if (!bytes) return "";
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  return bytes >= 1e6 ? `${Math.round(bytes / 1e6)} MB` : `${Math.max(1, Math.round(bytes / 1e3))} kB`;
}
