// The way to the models. Their script is loaded when they are first asked for, so that the page starts without it.

import * as notices from "./notices.js";

let loaded = null;

export const isOpen = () => document.body.hasAttribute("data-library");

export async function toggle() {
  try {
    loaded ??= import("./library.js");
    await (await loaded).toggle();
  } catch (error) {
    loaded = null;
    notices.show(`The models cannot be shown: ${error.message}`, { key: "library" });
  }
}

/** Shows what can be downloaded from a repository. */
export async function get(source) {
  try {
    loaded ??= import("./library.js");
    await (await loaded).get(source);
  } catch (error) {
    loaded = null;
    notices.show(`The models cannot be shown: ${error.message}`, { key: "library" });
  }
}

export async function close() {
  (await loaded)?.close();
}
