// Follows one job at a time: asks for the newest frame, and for the next one only when that is shown.

import { api, ended } from "./api.js";
import { tell } from "./bus.js";

let following = null;
const over = new Set(); // tries of jobs whose last frame was shown

export function unfollow() {
  following?.stop.abort();
  following = null;
}

/** Show the frames of this job from now on; `show(url, step)` is awaited. Asking again for the same job changes nothing. */
export function follow({ id, attempt, total }, show) {
  const name = `${id} ${attempt}`;
  if (following?.name === name || over.has(name)) return;
  unfollow();
  const mine = { id, name, total, stop: new AbortController() };
  following = mine;
  frames(mine, show).finally(() => {
    if (following === mine) {
      following = null;
      over.add(name);
    }
    tell("frames-ended", id);
  });
}

async function frames(mine, show) {
  let step = -1;
  while (!mine.stop.signal.aborted) {
    if (document.hidden) await new Promise((shown) => document.addEventListener("visibilitychange", shown, { once: true }));
    let answer;
    try {
      answer = await api.preview(mine.id, step, mine.stop.signal);
      if (ended(answer)) return;
      if (answer.status !== 200) continue;
      const frame = await answer.blob();
      step = Number(answer.headers.get("X-Step"));
      await shown(frame, step, show, mine);
      if (mine.total && step >= mine.total) return; // the job's list tells when the picture is there
    } catch (error) {
      if (mine.stop.signal.aborted || error.status === 404) return;
      await new Promise((later) => setTimeout(later, 1000));
    }
  }
}

async function shown(frame, step, show, mine) {
  const url = URL.createObjectURL(frame);
  try {
    if (!mine.stop.signal.aborted) await show(url, step);
  } finally {
    // The element keeps the decoded picture; the address is no longer needed once the next one is in.
    setTimeout(() => URL.revokeObjectURL(url), 5000);
  }
}
