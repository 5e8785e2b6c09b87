// The jobs that are not on the stage: those that wait, and others that develop beside the one shown. Each can be cancelled.

import { on } from "./bus.js";
import { button, el, fill } from "./dom.js";
import * as jobs from "./jobs.js";
import * as live from "./live.js";
import * as notices from "./notices.js";
import * as source from "./source.js";
import * as view from "./view.js";

const row = el("div", { class: "sl-queue", role: "group", aria: { label: "Queue" } });
let drawn = "";

export function queue() {
  on("view", draw);
  on("canvas", draw);
  return row;
}

function draw() {
  const onStage = source.canvasShown() || live.shown() ? null : view.job();
  const others = jobs.active().filter((job) => job.id !== onStage?.id);
  const key = JSON.stringify(others.map((job) => [job.id, job.state, job.state === "queued" ? 0 : [job.step, job.calls], jobs.cancelling(job)]));
  if (key === drawn) return;
  drawn = key;
  const held = document.activeElement?.closest(".sl-queue [data-job]")?.dataset.job;
  const all = others.filter((job) => job.state === "queued");
  const label = `Cancel all ${all.length} that wait`;
  const everything = all.length > 1 && button({ label, kind: "ghost", onclick: () => all.forEach(cancel) });
  row.hidden = !others.length;
  fill(row, ...others.map(chip), everything || null);
  row.querySelector(`[data-job="${held}"] .sl-icon-button, [data-job="${held}"] button`)?.focus();
}

function chip(job) {
  const prompt = job.request.prompt.trim() || "no prompt";
  const runs = job.state !== "queued";
  const state = jobs.cancelling(job) ? "Cancelling" : runs ? (job.calls ? `${job.calls} calls` : `Step ${job.step} of ${job.total}`) : "Waits";
  const words = [el("span", { class: "sl-chip-state", text: state }), el("span", { class: "sl-chip-prompt", text: prompt })];
  const watch = () => {
    source.showCanvas(false);
    view.live(job.id);
  };
  const body = runs
    ? el("button", { type: "button", class: "sl-chip-body", title: "Watch it develop", on: { click: watch } }, ...words)
    : el("span", { class: "sl-chip-body", title: prompt }, ...words);
  const drop = button({ label: `Cancel: ${prompt}`, title: "Cancel", icon: "close", quiet: true, onclick: () => cancel(job) });
  return el("div", { class: runs ? "sl-chip sl-runs" : "sl-chip", data: { job: job.id } }, body, drop);
}

const cancel = (job) => jobs.cancel(job.id).catch((error) => notices.show(error.message));
