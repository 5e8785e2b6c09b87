/** The named colours of a map, each for what is painted with it: a list beside the stage that can be searched. */

import { make } from "./canvas_elements.js";

/** @typedef {{label: string, color: string}} NamedColour  The colour as #rrggbb in small letters. */

const FEW = 8; // so many need no search

/** A list box of which one is in hand. */
export class ClassList {
  /**
   * @param {{colour: (hex: string) => void}} act
   * @param {NamedColour[]} classes  the most wanted first
   */
  constructor(act, classes) {
    this.act = act;
    this.classes = classes;
    this.chosen = classes[0];
    this.search = make("input", "sl-painter-search");
    Object.assign(this.search, { type: "search", placeholder: `Search ${classes.length} names`, hidden: classes.length < FEW });
    this.search.setAttribute("aria-label", "Search what is painted");
    this.search.addEventListener("input", () => this.#find(this.search.value));
    this.list = make("div", "sl-painter-names");
    this.list.tabIndex = 0;
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", "What is painted");
    this.rows = classes.map((each, index) => this.#row(each, index));
    this.none = make("p", "sl-painter-none", "Nothing here has such a name.");
    this.none.hidden = true;
    this.list.append(...this.rows);
    this.element = make("div", "sl-painter-classes", this.search, this.list, this.none);
    this.element.classList.toggle("sl-painter-few", classes.length < FEW);
    this.element.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {import("./canvas.js").StudioCanvas} canvas */
  update({ tool }) {
    // Two names may share one colour: the one that was chosen stays.
    if (tool.colour !== this.chosen.color) this.chosen = this.classes.find(({ color }) => color === tool.colour) ?? this.classes[0];
    if (tool.colour !== this.chosen.color) tool.paintWith(this.chosen.color);
    this.#mark();
  }

  #mark() {
    for (const [index, row] of this.rows.entries()) row.setAttribute("aria-selected", String(this.classes[index] === this.chosen));
    this.list.setAttribute("aria-activedescendant", this.rows[this.classes.indexOf(this.chosen)].id);
  }

  /**
   * @param {NamedColour} named
   * @param {number} index
   */
  #row(named, index) {
    const dot = make("span", "sl-painter-dot");
    dot.style.setProperty("--sl-painter-swatch", named.color);
    const row = make("div", "sl-painter-name", dot, make("span", "", named.label));
    row.id = `sl-painter-name-${index}`;
    row.setAttribute("role", "option");
    row.addEventListener("click", () => this.#choose(index));
    return row;
  }

  /** @param {number} index */
  #choose(index) {
    this.chosen = this.classes[index];
    this.rows[index].scrollIntoView({ block: "nearest", inline: "nearest" });
    this.act.colour(this.chosen.color);
  }

  /** @param {string} words */
  #find(words) {
    const wanted = words.trim().toLowerCase();
    for (const [index, row] of this.rows.entries()) row.hidden = !this.classes[index].label.toLowerCase().includes(wanted);
    this.none.hidden = this.rows.some((row) => !row.hidden);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const shown = this.rows.flatMap((row, index) => (row.hidden ? [] : [index]));
    const at = shown.indexOf(this.classes.indexOf(this.chosen));
    const typing = event.target === this.search;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: typing ? undefined : 0, End: typing ? undefined : shown.length - 1 }[event.key];
    const index = event.key === "Enter" && typing ? shown[Math.max(0, at)] : to === undefined ? undefined : shown[(to + shown.length) % shown.length];
    if (index === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.#choose(index);
  }
}
