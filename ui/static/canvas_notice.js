/** One sentence over the picture: why something did not work, until it does; or, for a moment, that it did. */

import { iconButton, make } from "./canvas_elements.js";

const SAID = 4000; // ms that good news stays

/** Lies over the stage's upper edge and lets strokes through. */
export class Notice {
  constructor() {
    this.words = make("p", "");
    this.element = make("div", "sl-painter-notice", this.words, iconButton("close", "Close this message", () => this.say(null)));
    this.planned = 0;
    this.element.hidden = true;
  }

  /**
   * @param {string | null} sentence
   * @param {boolean} [well]  good news, which leaves by itself
   */
  say = (sentence, well = false) => {
    clearTimeout(this.planned);
    this.element.setAttribute("role", well ? "status" : "alert");
    this.words.textContent = sentence ?? "";
    this.element.hidden = !sentence;
    if (well) this.planned = window.setTimeout(() => this.say(null), SAID);
  };
}
