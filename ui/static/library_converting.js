// Pickles that are made into safetensors: how far each is, and what became of it.

import { libraryApi as api } from "./library_api.js";
import { refreshModels } from "./models.js";
import * as notices from "./notices.js";

const PAUSE = 700; // ms between two looks
const LOST = { state: "failed", error: "The studio was started again." };

const same = ({ kind, name }) => `${kind} ${name}`;

/** `changed()` is called when there is news, `arrived()` when there are other models. */
export function conversions({ changed, arrived }) {
  let under = {}; // by kind and name: those on their way
  let watching = false;

  const going = (listed) => Object.fromEntries(listed.filter(({ state }) => ["queued", "running"].includes(state)).map((each) => [same(each), each]));

  function take(listed) {
    const before = under;
    under = going(listed);
    changed();
    const gone = Object.entries(before).filter(([key]) => !under[key]);
    return gone.map(([key, one]) => ({ ...one, ...(listed.find((each) => same(each) === key) ?? LOST) }));
  }

  async function watch() {
    if (watching) return;
    watching = true;
    try {
      while (Object.keys(under).length) {
        await new Promise((done) => setTimeout(done, PAUSE));
        const ended = await api.conversions().then(({ conversions: listed }) => take(listed), () => []); // prettier-ignore
        for (const { name, state, error } of ended) {
          if (state === "finished") notices.show(`${name} is converted; the safetensors file lies beside it.`, { key: "convert", kind: "well" });
          else notices.show(error, { key: "convert" });
        }
        if (ended.length) await refreshModels().then(arrived);
      }
    } finally {
      watching = false;
    }
  }

  return {
    /** How much of a pickle's file is written, in per cent; null for one that is not on its way. */
    share(model) {
      const found = under[same(model)];
      return found ? Math.round((found.share ?? 0) * 100) : null;
    },
    async begin(model) {
      const asked = await api.convert(model);
      under = { ...under, [same(asked)]: asked };
      changed();
      watch();
    },
    /** Those that were asked for before this page was opened. */
    async look() {
      take((await api.conversions()).conversions);
      watch();
    },
  };
}
