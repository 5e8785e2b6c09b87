// The small controls of a unit: a list, a switch, a number, a share of the steps.

import { el, say } from "./dom.js";

/** A list of [title, value, whether it can be chosen]. */
export function choice(label, choices, value, changed) {
  const options = choices.map(([title, each, usable]) => el("option", { value: each, text: title, disabled: !usable }));
  const node = el("select", { aria: { label }, title: label }, ...options);
  node.value = value;
  node.addEventListener("change", () => changed(node.value));
  return node;
}

export function tick(label, checked, changed) {
  const box = el("input", { type: "checkbox", aria: { label } });
  box.checked = checked;
  box.addEventListener("change", () => changed(box.checked));
  return el("label", { class: "sl-control-tick" }, box, el("span", { text: label }));
}

const written = (value) => String(Math.round(value * 100) / 100);

/** A slider with its number beside the title. */
export function number(title, { value, low, high, step, description = "" }, changed) {
  const shown = el("output", { text: written(value) });
  const slider = line(title, value, { low, high, step });
  slider.addEventListener("input", () => {
    say(shown, written(slider.valueAsNumber));
    changed(slider.valueAsNumber);
  });
  return el("label", { class: "sl-control-number", title: description }, el("span", { text: title }), shown, slider);
}

/** Two sliders for a part of 0 to 1; the one is held below the other. */
export function range(title, [from, to], changed) {
  const rule = { low: 0, high: 1, step: 0.05 };
  const shown = el("output");
  const [start, end] = [line(`${title}: from`, from, rule), line(`${title}: to`, to, rule)];
  const told = () => say(shown, `${Math.round(start.valueAsNumber * 100)} to ${Math.round(end.valueAsNumber * 100)} %`);
  start.addEventListener("input", () => held(start, Math.min(start.valueAsNumber, end.valueAsNumber - rule.step)));
  end.addEventListener("input", () => held(end, Math.max(end.valueAsNumber, start.valueAsNumber + rule.step)));
  function held(slider, value) {
    slider.value = value;
    progress(slider);
    told();
    changed([start.valueAsNumber, end.valueAsNumber]);
  }
  told();
  return el("div", { class: "sl-control-number sl-control-range" }, el("span", { text: title }), shown, start, end);
}

function line(label, value, { low, high, step }) {
  const slider = el("input", { type: "range", min: low, max: high, step, aria: { label } });
  slider.value = value;
  progress(slider);
  slider.addEventListener("input", () => progress(slider));
  return slider;
}

function progress(slider) {
  const share = (slider.valueAsNumber - slider.min) / (slider.max - slider.min);
  slider.style.setProperty("--range_progress", `${share * 100}%`);
}
