// One model, closely: what it is and is good for, what can be done with it, and what its owner notes about it.

import { api as studio } from "./api.js";
import { button, el, fill, say } from "./dom.js";
import * as form from "./form.js";
import { libraryApi as api } from "./library_api.js";
import { conversions } from "./library_converting.js";
import { kindOf, picture, size } from "./library_grid.js";
import { loads } from "./library_loading.js";
import { looks, notes, settings } from "./library_owner.js";
import { add } from "./library_prompt.js";
import { refreshModels } from "./models.js";
import * as notices from "./notices.js";

const HASH_PAUSE = 1500; // ms between two looks whether the hash is there
const UNLOAD_PAUSE = 700;
const UNLOAD_PATIENCE = 8000;
const COMPONENTS = {
  unet: "Denoiser", transformer: "Denoiser", prior: "Prior", decoder: "Decoder", vae: "VAE", text_encoder: "Text encoder",
  text_encoder_2: "Second text encoder", text_encoder_3: "Third text encoder", image_encoder: "Image encoder", tiny_decoder: "Preview decoder",
}; // prettier-ignore

/** `changed(model)` is told what the studio answers, `arrived()` that there may be other models; `close` leaves the model, `close_room` the models altogether. */
export function details({ changed, arrived, close, close_room }) {
  const node = el("aside", { class: "sl-model-details", hidden: true, tabindex: "-1", aria: { label: "Model" } });
  const spoken = el("p", { class: "sl-unseen", role: "status" });
  const news = () => model && changed(model);
  const loading = loads({ changed: news, ready: (title) => say(spoken, `${title} is in memory.`) });
  const converting = conversions({ changed: news, arrived });
  let model = null;
  let drawn = "";
  let asking = 0;

  const act = (work) => () => work().catch((error) => notices.show(error.message, { key: "library" }));
  const put = async (words, field) => say(spoken, add(words, field));
  const note = (work) => act(async () => changed(await work()));

  function draw(next, state) {
    const before = model;
    model = next;
    node.hidden = !model;
    if (!model) return void (drawn = "");
    const other = before?.kind !== model.kind || before?.name !== model.name;
    if (other || model.hashing) watchHash(model);
    const vaes = state.models.filter((each) => each.kind === "vae" && !each.broken);
    const under = model.kind === "checkpoint" ? [loading.words(model.name), loading.error(model.name)] : [];
    const key = JSON.stringify([model, state.managing, vaes.length, ...under, converting.share(model)]);
    if (key === drawn) return;
    if (!other && node.querySelector("textarea:focus")) return; // it is being written
    drawn = key;
    const held = other ? null : node.querySelector(":focus")?.dataset.act;
    fill(node, head(), ...body(state, vaes), spoken);
    if (held) (node.querySelector(`[data-act="${held}"]`) ?? node).focus({ preventScroll: true });
    if (other) node.scrollTop = 0;
  }

  function head() {
    const shut = button({ label: "Back to the list", title: "Close (Esc)", icon: "close", quiet: true, onclick: close });
    return el("header", { class: "sl-model-head" }, el("h3", { text: model.title }), shut);
  }

  function body(state, vaes) {
    const words = model.summary ? el("p", { class: "sl-model-summary", text: model.summary }) : "";
    const keep = { note, changed };
    const own = state.managing ? [...settings(model, vaes, keep), notes(model, keep), looks(model, keep)] : [read()];
    return [picture(model), ...wrong(), tools(state), triggers(), words, facts(), ...own];
  }

  /** Why it cannot be used, was not converted or was not loaded. */
  function wrong() {
    const unread = model.kind === "checkpoint" && !model.loaded && !loading.words(model.name) ? loading.error(model.name) : "";
    const unmade = converting.share(model) === null ? model.conversion_error : "";
    const told = model.broken ? [el("p", { class: "sl-model-wrong", role: "alert", text: model.broken })] : [];
    return [...told, ...[unmade, unread].filter(Boolean).map((text) => el("p", { class: "sl-model-wrong", text }))];
  }

  // -- what can be done -------------------------------------------------------------------------------------------------

  function tools({ managing }) {
    const made = [];
    const offer = (label, run, kind = "plain", more = {}) => made.push(button({ label, kind, "data-act": label, onclick: act(run), ...more }));
    if (model.kind === "checkpoint" && !model.broken) {
      offer("Use", async () => use(model), "plain sl-main");
      const coming = loading.words(model.name);
      if (managing && coming) offer(coming, async () => {}, "ghost", { disabled: true, "data-act": "Load now" });
      else if (managing && model.loaded) offer("Unload", unload, "ghost");
      else if (managing) offer("Load now", () => loading.begin(model.name), "ghost");
    }
    if (managing && model.pickle) {
      const share = converting.share(model);
      const going = share !== null;
      offer(going ? `Converting, ${share} %` : "Convert to safetensors", () => converting.begin(model), "plain sl-main", { disabled: going });
    }
    if (model.kind === "vae" && !model.broken) offer("Use", async () => everywhere({ vae: model.name }), "plain sl-main");
    if (model.prompt && !model.broken) {
      const all = model.kind === "lora" ? [model.prompt, ...model.trigger_words.slice(0, 1)].join(" ") : model.prompt;
      offer("Add to prompt", () => put(all), "plain sl-main");
      if (model.kind === "embedding") offer("Add to negative prompt", () => put(model.prompt, "negative_prompt"), "ghost");
    }
    return made.length ? el("div", { class: "sl-model-tools" }, ...made) : "";
  }

  /** The checkpoint in every tab that it can work for, with the settings its makers recommend. */
  async function use({ name, title, tasks }) {
    await refreshModels();
    const able = form.tasks().filter((task) => tasks.includes(form.tab(task).task));
    for (const task of able) form.bridge.chosen(task, name);
    const left = able.length < form.tasks().length ? ` It cannot do ${form.tasks().filter((task) => !able.includes(task)).join(" or ")}.` : "";
    notices.show(`${title} paints the next picture, with the settings that it recommends.${left}`, { key: "chosen", kind: "well" });
    if (document.getElementById("sl-column")?.inert) close_room();
  }

  async function everywhere(values) {
    for (const task of form.tasks()) form.fill(task, values);
    notices.show(`${model.title} is the VAE of the next picture.`, { key: "chosen", kind: "well" });
  }

  async function unload() {
    const { name, title } = model;
    await api.unload(name);
    const gone = await until(async () => !(await studio.health()).loaded.includes(name));
    if (!gone) notices.show(`${title} is in use, so it stays in memory.`, { key: "library", kind: "well" });
    await refreshModels();
  }

  // -- what is told -------------------------------------------------------------------------------------------------------

  function triggers() {
    if (!model.trigger_words.length) return "";
    const one = (word) => button({ label: word, kind: "word", title: "Add to the prompt", onclick: act(() => put(word)) });
    return el("div", { class: "sl-model-triggers", role: "group", aria: { label: "Trigger words" } }, ...model.trigger_words.slice(0, 24).map(one));
  }

  function facts() {
    const shown = [
      ["Kind", model.detail.startsWith(kindOf(model)) ? model.detail : [kindOf(model), model.detail].filter(Boolean).join(", ")],
      ["Family", model.family_title],
      ["Made for", model.base_model],
      ["Paints best at", model.native_size ? model.native_size.join(" × ") : ""],
      ["Size", size(model.size_bytes)],
      ["In memory", model.loaded ? held() : ""],
      ["Name", model.name],
      ["Hash", model.short_hash ? copied(model.short_hash, model.sha256, "Copy the whole SHA-256") : model.hashing ? "being computed" : ""],
      ["AutoV3", model.autov3 ? copied(model.autov3, model.autov3, "Copy AutoV3") : ""],
      ["Place", model.path ? copied(model.path, model.path, "Copy the path") : ""],
      ["From", model.source ? link(model.source) : ""],
      ["Tags", model.tags.slice(0, 12).join(", ")],
    ].filter(([, value]) => value);
    return el("dl", { class: "sl-model-facts" }, ...shown.flatMap(([term, value]) => [el("dt", { text: term }), el("dd", {}, value)]));
  }

  /** What a loaded checkpoint holds: all of it, its parts, and where they live. */
  function held() {
    const where = ({ waits, shared }) => [waits ? "waits in main memory" : "", shared ? "shared" : ""].filter(Boolean).join(", ");
    const one = (part) => {
      const words = [COMPONENTS[part.component] ?? part.component, size(part.bytes), where(part)].filter(Boolean);
      return el("li", { text: words.join(" · ") });
    };
    const whole = el("span", { text: size(model.memory_bytes) || "yes" });
    return el("div", { class: "sl-held" }, whole, el("ul", {}, ...model.holds.map(one)), model.memory_plan ? el("p", { text: model.memory_plan }) : "");
  }

  function copied(shown, whole, label) {
    const copy = async () => {
      await navigator.clipboard.writeText(whole);
      notices.show("It is on the clipboard.", { kind: "well", key: "copied" });
    };
    const tool = navigator.clipboard && isSecureContext ? button({ label, icon: "copy", quiet: true, "data-act": label, onclick: act(copy) }) : "";
    return el("span", { class: "sl-copied" }, el("code", { text: shown, title: whole }), tool);
  }

  function link(address) {
    if (!address.startsWith("https://")) return el("code", { text: address });
    return el("a", { href: address, target: "_blank", rel: "noreferrer noopener", text: address.replace("https://", "") });
  }

  const read = () => (model.notes ? el("p", { class: "sl-model-summary", text: model.notes }) : "");

  /** The studio computes the hash of what one looks at first; ask until it is there. */
  async function watchHash(subject) {
    const turn = (asking += 1);
    if (!subject.hashing) return;
    for (let tries = 0; tries < 400; tries += 1) {
      const answer = await api.one(subject).catch(() => null);
      if (turn !== asking || !model || !answer) return;
      if (!answer.hashing) return changed(answer);
      await pause(HASH_PAUSE);
      if (turn !== asking || node.closest("[hidden]")) return;
    }
  }

  /** What was begun before this page was opened goes on being told. */
  const look = act(() => Promise.all([loading.look(), converting.look()]));

  return { node, draw, look, focus: () => node.focus({ preventScroll: true }) };
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function until(holds) {
  for (const end = performance.now() + UNLOAD_PATIENCE; performance.now() < end; await pause(UNLOAD_PAUSE)) if (await holds()) return true;
  return false;
}
