// What the keys do to a prompt, as pure functions: text and selection in, text and selection out.

const STEP = 0.1;
const NETWORK_STEP = 0.05;
const LIMIT = 10;

const rounded = (weight) => Math.round(Math.max(-LIMIT, Math.min(LIMIT, weight)) * 100) / 100;
const written = (weight) => String(rounded(weight));
const escaped = (text, at) => {
  let slashes = 0;
  while (text[at - 1 - slashes] === "\\") slashes += 1;
  return slashes % 2 === 1;
};

/** The innermost `(words:weight)` or `<kind:name:weight>` around a selection, as {start, end, words, weight}; null if none. */
function weighted(text, start, end) {
  return network(text, start, end) ?? bracket(text, start, end);
}

function network(text, start, end) {
  const open = text.lastIndexOf("<", start - (text[start] === "<" && start === end ? 0 : 1));
  const close = text.indexOf(">", Math.max(end - 1, open));
  if (open < 0 || close < 0 || open > start || close < end - 1) return null;
  const found = /^<(lora|lyco|hypernet):([^:<>]+)(?::([-+.\d]+))?((?::[^<>]*)?)>$/.exec(text.slice(open, close + 1));
  if (!found) return null;
  const [, kind, name, weight, rest] = found;
  return { start: open, end: close + 1, weight: Number(weight ?? 1), step: NETWORK_STEP, write: (next) => `<${kind}:${name}:${written(next)}${rest}>`, keeps: true };
}

function bracket(text, start, end) {
  let depth = 0;
  let open = -1;
  for (let at = start - 1; at >= 0; at -= 1) {
    if (escaped(text, at)) continue;
    if (text[at] === ")") depth += 1;
    if (text[at] === "(" && (depth -= 1) < 0) {
      open = at;
      break;
    }
  }
  if (open < 0) return null;
  depth = 0;
  for (let at = open; at < text.length; at += 1) {
    if (escaped(text, at)) continue;
    if (text[at] === "(") depth += 1;
    if (text[at] !== ")" || (depth -= 1) > 0) continue;
    if (at < end) return null; // the selection reaches beyond it
    const inner = text.slice(open + 1, at);
    const found = /^([^]*):\s*([-+]?[.\d]+)\s*$/.exec(inner);
    const words = found ? found[1] : inner;
    return { start: open, end: at + 1, weight: found ? Number(found[2]) : 1.1, step: STEP, words, write: (next) => `(${words}:${written(next)})` };
  }
  return null;
}

/** The word at the caret, without the commas and brackets around it. */
function word(text, start, end) {
  const part = /[^\s,.;:(){}[\]<>|\\]/;
  while (start > 0 && part.test(text[start - 1])) start -= 1;
  while (end < text.length && part.test(text[end])) end += 1;
  return { start, end };
}

/** One step more (+1) or less (-1) weight for the selection, or the word at the caret; null where there is nothing. */
export function reweigh(text, start, end, by) {
  const inside = weighted(text, start, end);
  if (inside) {
    const next = rounded(inside.weight + by * inside.step);
    const plain = next === 1 && !inside.keeps;
    const put = plain ? inside.words : inside.write(next);
    const lead = plain || inside.keeps ? 0 : 1;
    const from = inside.start + (inside.keeps ? 0 : lead);
    const length = inside.keeps ? put.length : inside.words.length;
    return { text: text.slice(0, inside.start) + put + text.slice(inside.end), start: from, end: from + length };
  }
  let chosen = start === end ? word(text, start, end) : { start, end };
  while (chosen.end > chosen.start && /[\s,]/.test(text[chosen.end - 1])) chosen = { start: chosen.start, end: chosen.end - 1 };
  while (chosen.end > chosen.start && /[\s,]/.test(text[chosen.start])) chosen = { start: chosen.start + 1, end: chosen.end };
  if (chosen.start === chosen.end) return null;
  const words = text.slice(chosen.start, chosen.end);
  const put = `(${words}:${written(1 + by * STEP)})`;
  return { text: text.slice(0, chosen.start) + put + text.slice(chosen.end), start: chosen.start + 1, end: chosen.start + 1 + words.length };
}

/** The phrases between commas; those inside brackets are no ends. */
function phrases(text) {
  const found = [];
  let depth = 0;
  let begin = 0;
  for (let at = 0; at <= text.length; at += 1) {
    if ("([{<".includes(text[at] || "\0") && !escaped(text, at)) depth += 1;
    if (")]}>".includes(text[at] || "\0") && !escaped(text, at)) depth = Math.max(0, depth - 1);
    if (at < text.length && !(text[at] === "," && depth === 0)) continue;
    found.push({ start: begin, end: at });
    begin = at + 1;
  }
  return found;
}

/** The phrase at the caret, moved one place to the left (-1) or right (+1); null at the ends. */
export function move(text, start, end, by) {
  const all = phrases(text);
  const at = all.findIndex((each) => start <= each.end);
  const to = at + by;
  if (at < 0 || to < 0 || to >= all.length || all.length < 2) return null;
  const words = all.map((each) => text.slice(each.start, each.end));
  const spaces = words.map((each) => /^\s*/.exec(each)[0]);
  const trimmed = words.map((each, index) => each.slice(spaces[index].length));
  [trimmed[at], trimmed[to]] = [trimmed[to], trimmed[at]];
  const put = trimmed.map((each, index) => spaces[index] + each);
  let from = spaces[to].length;
  for (let index = 0; index < to; index += 1) from += put[index].length + 1;
  return { text: put.join(","), start: from, end: from + trimmed[to].trimEnd().length };
}
