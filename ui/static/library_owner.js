// What the owner of a model sets and notes about it.

import { button, el, say } from "./dom.js";
import { libraryApi as api } from "./library_api.js";
import { refreshModels } from "./models.js";
import * as notices from "./notices.js";
import * as view from "./view.js";

const SAVE_PAUSE = 900; // ms without a key before notes are kept
const DTYPES = {
  automatic: "Automatic: what suits the device",
  float32: "float32: exact, twice the memory",
  float16: "float16: half the memory",
  bfloat16: "bfloat16: half the memory, never overflows",
};

/** The lists beside a checkpoint: its VAE, and what its numbers are loaded in. `note(work)` gives what keeps the studio's answer. */
export function settings(model, vaes, { note }) {
  if (model.kind !== "checkpoint" || model.broken) return [];
  const known = [{ name: "automatic", title: "Its own" }, ...vaes];
  if (!known.some((each) => each.name === model.default_vae)) known.push({ name: model.default_vae, title: `${model.default_vae} (not here)` });
  const vae = known.length > 1 ? [list(model, "default_vae", "VAE used with it", known, note)] : [];
  const dtypes = Object.entries(DTYPES).map(([name, title]) => ({ name, title }));
  return [...vae, list(model, "dtype", "Precision it is loaded in", dtypes, note)];
}

function list(model, field, label, known, note) {
  const id = `sl-model-${field === "default_vae" ? "vae" : field}`;
  const options = known.map(({ name, title }) => el("option", { value: name, text: title }));
  const chosen = el("select", { id, data: { act: id } }, ...options);
  chosen.value = model[field];
  const keep = note(() => api.annotate(model, { [field]: chosen.value }));
  chosen.addEventListener("change", async () => {
    await keep();
    await refreshModels().catch(() => {});
  });
  return el("div", { class: "sl-model-field" }, el("label", { for: id, text: label }), chosen);
}

/** What is written is kept a moment after the last key; `changed` is told what the studio answers. */
export function notes(model, { changed }) {
  const area = el("textarea", { id: "sl-model-notes", rows: "4", maxlength: "20000", spellcheck: "false", placeholder: "What you want to remember about it" });
  const said = el("span", { class: "sl-hint", role: "status" });
  area.value = model.notes;
  let planned = 0;
  let kept = model.notes;
  const keep = async () => {
    clearTimeout(planned);
    if (area.value === kept) return;
    const text = area.value;
    try {
      const answer = await api.annotate(model, { notes: text });
      kept = text;
      say(said, "kept");
      changed(answer);
    } catch (error) {
      say(said, "");
      notices.show(error.message, { key: "library" });
    }
  };
  area.addEventListener("input", () => {
    say(said, "");
    clearTimeout(planned);
    planned = setTimeout(keep, SAVE_PAUSE);
  });
  area.addEventListener("blur", keep);
  return el("div", { class: "sl-model-field" }, el("label", { for: "sl-model-notes", text: "Notes" }), area, said);
}

/** Its preview, chosen from what is on the stage. */
export function looks(model, { note }) {
  const shown = view.shown()[0];
  const set = shown && button({ label: "Use the picture on the stage as preview", kind: "ghost", "data-act": "set", onclick: note(() => api.setPreview(model, shown.id)) });
  const drop = model.own_preview && button({ label: "Remove the preview", kind: "ghost", "data-act": "drop", onclick: note(() => api.dropPreview(model)) });
  return set || drop ? el("div", { class: "sl-model-tools" }, set, drop) : "";
}
