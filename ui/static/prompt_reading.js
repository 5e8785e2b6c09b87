// How a prompt is read, drawn: the text with its weights and chunk borders, and what is said in which steps.

import { el } from "./dom.js";

const MOST = 12; // rows of a list

/** Elements for a prompt `text` and what the studio found in it. */
export function reading(text, { spans, timeline, networks, embeddings }) {
  const chunks = timeline[0].parts[0].chunks;
  const parts = [weights(text, spans, chunks, embeddings)];
  if (timeline.length > 1 || timeline[0].parts.length > 1) parts.push(steps(text, spans, timeline));
  if (networks.length) parts.push(el("ul", { class: "sl-reading-networks" }, ...networks.map(network)));
  return parts;
}

/** The typed text: heavier words brighter and underlined, lighter ones dimmed, borders of chunks as a bar. */
function weights(text, spans, chunks, embeddings) {
  const marks = [];
  for (const { start, end, weight } of spans) if (weight !== 1) marks.push({ start, end, kind: weight > 1 ? "more" : "less", title: `weight ${number(weight)}` });
  for (const { start, end, name, vectors } of embeddings) marks.push({ start, end, kind: "embedding", title: `embedding ${name}, ${vectors} token${vectors === 1 ? "" : "s"}` });
  const borders = new Set(chunks.slice(1).map((chunk) => chunk.start).filter((start) => start !== null));
  const cuts = [...new Set([0, text.length, ...borders, ...marks.flatMap(({ start, end }) => [start, end])])].filter((at) => at <= text.length).sort((a, b) => a - b);
  const pieces = [];
  for (let index = 0; index + 1 < cuts.length; index += 1) {
    const [start, end] = [cuts[index], cuts[index + 1]];
    if (borders.has(start)) pieces.push(el("span", { class: "sl-reading-border", title: "A new chunk begins here", aria: { label: "new chunk" } }));
    const over = marks.filter((mark) => mark.start <= start && mark.end >= end);
    const words = text.slice(start, end);
    if (!over.length) pieces.push(words);
    else pieces.push(el("mark", { class: over.map(({ kind }) => `sl-reading-${kind}`).join(" "), title: over.map(({ title }) => title).join("; "), text: words }));
  }
  const legend = spans.filter(({ weight }) => weight !== 1).slice(0, MOST).map(({ start, end, weight }) => el("li", {}, el("b", { text: number(weight) }), ` ${text.slice(start, end).trim().slice(0, 60)}`));
  return el("div", {}, el("p", { class: "sl-reading-text" }, ...pieces), legend.length ? el("ul", { class: "sl-reading-weights" }, ...legend) : null);
}

/** What is said in which steps; texts that come back, as in an alternation, stand once with all their steps. */
function steps(text, spans, timeline) {
  const when = new Map();
  for (const { from, until, parts } of timeline) {
    const holds = spans.filter((span) => span.steps.some(([first, last]) => first <= from && until <= last));
    const several = parts.length > 1 ? ` (${parts.map(({ weight }) => number(weight)).join(" and ")})` : "";
    const said = holds.map(({ start, end }) => text.slice(start, end).trim()).join(" ") + several;
    when.set(said, [...(when.get(said) ?? []), from === until ? String(from) : `${from}–${until}`]);
  }
  const rows = [...when].slice(0, MOST).map(([said, each]) => {
    const shown = each.length > MOST / 2 ? `${each.slice(0, MOST / 2).join(", ")} …` : each.join(", ");
    return el("li", {}, el("b", { text: `${each.length > 1 || each[0].includes("–") ? "steps" : "step"} ${shown}` }), ` ${said}`);
  });
  if (when.size > MOST) rows.push(el("li", { text: `and ${when.size - MOST} more` }));
  return el("ul", { class: "sl-reading-steps" }, ...rows);
}

function network({ kind, name, weight, text_weight: forText, known, near }) {
  const weights = forText === weight ? number(weight) : `${number(weight)}, text ${number(forText)}`;
  const unknown = known ? null : el("span", { class: "sl-reading-unknown", text: near.length ? ` is not there. Near: ${near.join(", ")}` : " is not there" });
  return el("li", {}, el("b", { text: kind }), ` ${name} (${weights})`, unknown);
}

const number = (weight) => String(Math.round(weight * 1000) / 1000);
