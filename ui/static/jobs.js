// The queue as the server has it. The list is asked for again and again: it is the truth, on every device.

import { api } from "./api.js";
import { on, tell } from "./bus.js";

const BUSY = 500;
const IDLE = 2000;
const ENDED = new Set(["finished", "failed", "cancelled"]);

const KEPT = 50; // jobs that are remembered after they ended
const MOST = 200; // jobs that may wait

let jobs = []; // newest first
let version = null; // of the list as last seen
let lost = false;
let notes = 0; // counts what other answers said, so that an older list does not undo it
let wake = () => {};

const leaving = new Set(); // ids of jobs that were asked to stop and have not yet

/** Whether the queue is known yet. */
export const known = () => version !== null;
/** Whether a job was cancelled and only ends its step. */
export const cancelling = (job) => leaving.has(job.id) && !ended(job);
export const find = (id) => jobs.find((job) => job.id === id);
export const ended = (job) => ENDED.has(job.state);
export const active = () => jobs.filter((job) => !ended(job)).reverse(); // oldest first
export const developing = () => active().filter((job) => job.state === "running" || job.state === "paused");
export const waiting = () => active().filter((job) => job.state === "queued");

/** Put in what an answer said about a job, and look again at once. */
export function note(job) {
  notes += 1;
  jobs = newestFirst([job, ...jobs.filter((each) => each.id !== job.id)]);
  tell("jobs", jobs);
  wake();
}

/** Most looks ask for what is active only; the whole list comes when something has ended or begun. */
async function ask() {
  const answer = await api.active(MOST);
  const names = (list) => list.map((job) => job.id).sort().join(); // prettier-ignore
  const same = version !== null && names(answer.jobs) === names(active());
  const quiet = answer.jobs.length > 0 || answer.version === version;
  version = answer.version;
  if (same && quiet) return newestFirst([...answer.jobs, ...jobs.filter(ended)]);
  const { jobs: all } = await api.jobs(KEPT);
  return newestFirst([...all, ...answer.jobs.filter((job) => !all.some((each) => each.id === job.id))]);
}

const newestFirst = (list) => list.sort((a, b) => b.created - a.created);

async function look() {
  const before = notes;
  try {
    const answer = await ask();
    if (lost) tell("found");
    lost = false;
    if (before !== notes) return wake();
    jobs = answer;
    tell("jobs", jobs);
  } catch (error) {
    if (!lost) tell("lost", error.message);
    lost = true;
  }
}

/** Keep looking: twice a second while something runs, else every two seconds, not at all while nobody sees the page. */
export async function watch() {
  for (;;) {
    if (document.hidden) await new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true }));
    const woken = new Promise((next) => (wake = next));
    await look();
    const rest = new Promise((next) => setTimeout(next, active().length && !lost ? BUSY : IDLE));
    await Promise.race([woken, rest]);
  }
}

export async function cancel(id) {
  note(await api.cancel(id));
  leaving.add(id);
  tell("jobs", jobs);
}

export const turn = async (id, verb) => note(await api.turn(id, verb));

on("frames-ended", () => wake());
