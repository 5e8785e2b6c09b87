// Checkpoints that come into memory before a picture asks for them: what each waits for, and what became of it.

import { api as studio } from "./api.js";
import { libraryApi as api } from "./library_api.js";
import { refreshModels, titleOf } from "./models.js";
import * as notices from "./notices.js";

const PAUSE = 700; // ms between two looks

/** `changed()` is called when there is news, `ready(title)` when one is there. */
export function loads({ changed, ready }) {
  let coming = {}; // by checkpoint: what it waits for
  let errors = {};
  let watching = false;

  /** What the studio tells; those that are no longer on their way are there, or failed. */
  function take({ loads: listed, load_errors: failed }) {
    const gone = Object.keys(coming).filter((name) => !listed.some((each) => each.checkpoint === name));
    coming = Object.fromEntries(listed.map((each) => [each.checkpoint, each]));
    errors = failed;
    if (!gone.length) changed();
    return gone;
  }

  async function told(name) {
    await refreshModels(); // which has the models drawn again
    const title = titleOf("checkpoint", name);
    if (!errors[name]) return ready(title);
    changed();
    notices.show(errors[name], { key: "library", about: title });
  }

  async function watch() {
    if (watching) return;
    watching = true;
    try {
      while (Object.keys(coming).length) {
        await new Promise((done) => setTimeout(done, PAUSE));
        const gone = await studio.health().then(take, () => []); // the studio may be away for a moment
        for (const name of gone) await told(name);
      }
    } finally {
      watching = false;
    }
  }

  return {
    /** What a checkpoint is waiting for, in words; "" for one that is not on its way. */
    words(name) {
      const { state, jobs } = coming[name] ?? {};
      if (!state || state === "loading") return state ? "Loading" : "";
      return jobs ? `Waits for ${jobs} ${jobs === 1 ? "job" : "jobs"}` : "Waits its turn";
    },
    error: (name) => errors[name] ?? "",
    async begin(name) {
      const gone = take(await api.load(name));
      for (const each of gone) await told(each);
      watch();
    },
    /** Those that were asked for before this page was opened. */
    async look() {
      take(await studio.health());
      watch();
    },
  };
}
