// Downloads: look at an address, choose what to take, watch it come.

import { tell } from "./bus.js";
import { button, el, fill, say } from "./dom.js";
import { libraryApi as api } from "./library_api.js";
import { size } from "./library_grid.js";
import { refreshModels } from "./models.js";
import * as notices from "./notices.js";

const PACE = 1000; // ms between two looks while something comes
const KINDS = [
  ["automatic", "Told by the file"], ["checkpoint", "Checkpoint"], ["lora", "LoRA"], ["embedding", "Embedding"], ["vae", "VAE"],
  ["upscaler", "Upscaler"], ["controlnet", "ControlNet"], ["preprocessor", "Preprocessor"],
]; // prettier-ignore
const STATES = { queued: "waits", running: "", finished: "here", failed: "failed", cancelled: "cancelled" };

const parts = {};
let list = [];
let planned = 0;
let open = false;
let arrived = async () => {};

function make(given) {
  arrived = given.arrived;
  parts.source = el("input", { type: "text", id: "sl-source", spellcheck: "false", autocapitalize: "off", placeholder: "org/name, or https://…/file.safetensors" });
  parts.look = button({ label: "Look", kind: "plain", onclick: look });
  parts.why = el("p", { class: "sl-get-why", id: "sl-source-why", role: "alert" });
  parts.offer = el("div", { class: "sl-offer" });
  parts.list = el("ul", { class: "sl-downloads", aria: { label: "Downloads" } });
  parts.spoken = el("p", { class: "sl-unseen", role: "status" });
  parts.source.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    look();
  });
  const label = el("label", { for: "sl-source", text: "From the Hugging Face Hub, or from an address" });
  const help = el("p", { class: "sl-hint", text: "Only .safetensors files are taken: others can run code when they are opened. A page of the Hub may be pasted as it is." });
  const row = el("div", { class: "sl-source-row" }, parts.source, parts.look);
  parts.node = el("div", { class: "sl-get", hidden: true }, el("div", { class: "sl-get-form" }, label, row, parts.why, help, parts.offer), parts.list, parts.spoken);
  return parts.node;
}

function wrong(error = null) {
  say(parts.why, error ? error.message : "");
  parts.source.toggleAttribute("aria-invalid", Boolean(error));
}

async function look() {
  const source = parts.source.value.trim();
  if (!source) return parts.source.focus();
  wrong();
  parts.look.disabled = true;
  fill(parts.offer, el("p", { class: "sl-hint", text: "Looking" }));
  try {
    offer(source, await api.look(source));
  } catch (error) {
    fill(parts.offer);
    wrong(error);
  } finally {
    parts.look.disabled = false;
  }
}

// -- what there is ------------------------------------------------------------------------------------------------------

function offer(source, found) {
  const kind = el("select", { id: "sl-get-kind" }, ...KINDS.map(([value, text]) => el("option", { value, text })));
  kind.value = KINDS.some(([value]) => value === found.kind) ? found.kind : "automatic";
  const name = el("input", { type: "text", id: "sl-get-name", spellcheck: "false", placeholder: "As it is called there" });
  const fields = el(
    "div",
    { class: "sl-get-fields" },
    el("div", {}, el("label", { for: "sl-get-kind", text: "Kind" }), kind),
    el("div", {}, el("label", { for: "sl-get-name", text: "Name here" }), name),
  );
  const take = (file) => async () => {
    try {
      await api.download({ source, kind: kind.value, ...(file ? { file } : {}), ...(name.value.trim() ? { name: name.value.trim() } : {}) });
      wrong();
      await refresh();
    } catch (error) {
      wrong(error);
    }
  };
  const row = (title, bytes, file) => {
    const fits = bytes === null || bytes < found.free_bytes;
    const tool = button({ label: "Download", "aria-label": `Download ${title}`, icon: "download", kind: "plain", disabled: !fits, onclick: take(file) });
    const said = [size(bytes) || "size not told", fits ? "" : "does not fit on the disk"].filter(Boolean).join(" · ");
    return el("li", {}, el("span", { class: "sl-offered" }, el("strong", { text: title }), el("span", { text: said })), tool);
  };
  const rows = found.files.map((file) => row(file.path, file.size_bytes, file.path));
  if (found.folder) rows.unshift(row(`The whole model (${found.folder.files} files)`, found.folder.size_bytes, null));
  const left = found.unsafe ? `${found.unsafe} ${found.unsafe === 1 ? "file" : "files"} that could run code ${found.unsafe === 1 ? "is" : "are"} left out. ` : "";
  const words = el("p", { class: "sl-hint", text: `${left}${size(found.free_bytes)} are free.` });
  fill(parts.offer, el("h3", { text: found.title }), fields, el("ul", { class: "sl-offers", aria: { label: "Files to choose from" } }, ...rows), words);
}

// -- what comes -----------------------------------------------------------------------------------------------------------

const runs = (each) => each.state === "queued" || each.state === "running";

async function refresh() {
  clearTimeout(planned);
  planned = 0;
  let now;
  try {
    now = (await api.downloads()).downloads;
  } catch {
    now = list; // not ours to see, or the studio is away, which is said elsewhere
  }
  const before = new Map(list.map((each) => [each.id, each.state]));
  list = now;
  draw();
  const ended = list.filter((each) => ["queued", "running"].includes(before.get(each.id)) && !runs(each));
  for (const each of ended) {
    const words = each.state === "finished" ? `${each.name} is here.` : each.state === "failed" ? each.error : "";
    if (words) notices.show(words, { key: `download ${each.id}`, kind: each.state === "finished" ? "well" : "wrong", about: each.state === "failed" ? each.name : "" });
    say(parts.spoken, words);
  }
  if (ended.some((each) => each.state === "finished")) {
    tell("library", open);
    await refreshModels().catch(() => {});
    await arrived();
  }
  if (list.some(runs)) planned = setTimeout(refresh, open ? PACE : 5 * PACE);
}

function draw() {
  const held = parts.list.querySelector(":focus")?.dataset.act;
  fill(parts.list, ...list.map(row));
  if (held) parts.list.querySelector(`[data-act="${held}"]`)?.focus();
}

function row(each) {
  const done = each.bytes_total ? Math.min(1, each.bytes_done / each.bytes_total) : 0;
  const act = (label, run, icon) => button({ label: `${label} ${each.name}`, title: label, icon, quiet: true, "data-act": `${label} ${each.id}`, onclick: () => run(each.id).then(refresh, (error) => notices.show(error.message, { key: "library" })) });
  const tools = [];
  if (each.state === "failed" || each.state === "cancelled") tools.push(act("Try again", api.retry, "again"));
  tools.push(runs(each) ? act("Cancel", api.cancel, "close") : act("Remove from the list", api.cancel, "close"));
  const node = el("li", { data: { state: each.state } }, el("strong", { text: each.name }), el("span", { class: "sl-download-words", text: words(each) }), ...tools);
  if (runs(each)) {
    const line = el("div", { class: "sl-line sl-on", role: "progressbar", aria: { label: each.name, valuemin: "0", valuemax: "100", valuenow: String(Math.round(done * 100)) } });
    const filled = el("div", { class: "sl-line-fill" });
    filled.style.transform = `scaleX(${done})`;
    line.append(filled);
    node.append(line);
  }
  if (each.error) node.append(el("p", { class: "sl-model-wrong", text: each.error }));
  return node;
}

function words(each) {
  if (each.state === "running" && each.notice) return each.notice;
  const come = each.bytes_total ? `${size(each.bytes_done) || "0 kB"} of ${size(each.bytes_total)}` : size(each.bytes_done);
  if (each.state === "running") return [come, each.bytes_per_second ? `${size(each.bytes_per_second)}/s` : "", left(each.eta)].filter(Boolean).join(" · ");
  return [STATES[each.state], each.state === "finished" ? each.placed : come].filter(Boolean).join(" · ");
}

function left(seconds) {
  if (seconds === null) return "";
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s left`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min left` : `${(seconds / 3600).toFixed(1)} h left`;
}

export const downloads = {
  make,
  focus: () => parts.source.focus(),
  look(source) {
    parts.source.value = source;
    return look();
  },
  /** Look at once, and again and again while something comes; seldom while nobody looks. */
  watch(is) {
    open = is;
    if (is) refresh();
  },
};
