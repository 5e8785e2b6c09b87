// How a prompt is read, drawn: the text with its weights and chunk borders, and what is said in which steps.

import { el } from "./dom.js";

const MOST = 12; // rows of a list

/** Elements for a prompt `text` and what the studio found in it. */
export function reading(text, found) {
  const { timeline, networks, becomes } = found;
  const parts = [weights(text, found)];
  if (found.choices.length) parts.push(chosen(found));
  if (becomes !== null) parts.push(el("p", { class: "sl-reading-becomes" }, el("b", { text: "This seed makes it" }), ` ${becomes}`));
  if (timeline.length > 1 || timeline[0].parts.length > 1) parts.push(steps(text, found));
  if (networks.length) parts.push(list("sl-reading-networks", networks.map(network)));
  return parts;
}

/** The typed text: heavier words brighter and underlined, lighter ones dimmed, borders of chunks as a bar (where chance decides the
 * words there are none yet), and framed what is still to be chosen. */
function weights(text, { spans, spans_left: left, timeline, embeddings, choices }) {
  const chunks = choices.length ? [] : timeline[0].parts[0].chunks;
  const marks = choices.map((choice) => ({ start: choice.start, end: choice.end, kind: "choice", title: offer(choice) }));
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
  const weighed = spans.filter(({ weight }) => weight !== 1);
  const legend = weighed.map(({ start, end, weight }) => el("li", {}, el("b", { text: number(weight) }), ` ${text.slice(start, end).trim().slice(0, 60)}`));
  const cut = left ? el("p", { text: `Weights are shown of the first ${spans.length} of ${spans.length + left} pieces.` }) : null;
  return el("div", {}, el("p", { class: "sl-reading-text" }, ...pieces), legend.length ? list("sl-reading-weights", legend) : null, cut);
}

/** What is left to chance, in its order. */
function chosen({ choices, choices_left: left }) {
  const rows = choices.map((choice) => el("li", {}, el("b", { text: offer(choice) })));
  return list("sl-reading-choices", rows, left);
}

/** "one of 12 from colours", "1 to 2 of 3 variants". */
function offer({ name, options, low, high }) {
  if (!options) return `${name}: nothing to choose from`;
  const [least, most] = [Math.min(low, options), Math.min(high ?? options, options)].sort((a, b) => a - b);
  const how = least === most ? (most === 1 ? "one" : String(most)) : `${least} to ${most}`;
  return `${how} of ${options} ${name ? `from ${name}` : "variants"}`;
}

/** The first rows, and how many more there are. */
function list(kind, rows, more = 0) {
  const left = rows.length + more - MOST;
  return el("ul", { class: kind }, ...rows.slice(0, MOST), left > 0 ? el("li", { text: `and ${left} more` }) : null);
}

/** What is said in which steps; texts that come back, as in an alternation, stand once with all their steps. */
function steps(text, { spans, timeline, texts }) {
  const when = new Map();
  for (const { from, until, parts } of timeline) {
    const holds = spans.filter((span) => span.steps.some(([first, last]) => first <= from && until <= last));
    const several = parts.length > 1 ? ` (${parts.map(({ weight }) => number(weight)).join(" and ")})` : "";
    const said = holds.map(({ start, end }) => text.slice(start, end).trim()).join(" ") + several;
    when.set(said, [...(when.get(said) ?? []), from === until ? String(from) : `${from}–${until}`]);
  }
  const rows = [...when].map(([said, each]) => {
    const left = each.length - MOST / 2;
    const shown = left > 1 ? `${each.slice(0, MOST / 2).join(", ")} and ${left} more` : each.join(", ");
    return el("li", {}, el("b", { text: `${each.length > 1 || each[0].includes("–") ? "steps" : "step"} ${shown}` }), ` ${said}`);
  });
  const shown = list("sl-reading-steps", rows);
  const unread = texts - timeline.length;
  if (unread) shown.append(el("li", { text: `${unread} more changes are too long to be shown` }));
  return shown;
}

function network({ kind, name, weight, text_weight: forText, known, near }) {
  const weights = forText === weight ? number(weight) : `${number(weight)}, text ${number(forText)}`;
  const unknown = known ? null : el("span", { class: "sl-reading-unknown", text: near.length ? ` is not there. Near: ${near.join(", ")}` : " is not there" });
  return el("li", {}, el("b", { text: kind }), ` ${name} (${weights})`, unknown);
}

const number = (weight) => String(Math.round(weight * 1000) / 1000);
