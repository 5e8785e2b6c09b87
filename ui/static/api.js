// The studio's HTTP API, the same that programs use.

const API = "/api/v1";

/** An error the studio explains in one sentence; `field` names the control concerned, if there is one. */
export class StudioError extends Error {
  constructor(message, field = null, status = 0) {
    super(message);
    this.field = field;
    this.status = status;
  }
}

/** The absolute path of a route, also where the page is served under a prefix. */
export function route(path) {
  const root = window.gradio_config?.root ?? "";
  return new URL(root || "/", location.href).pathname.replace(/\/$/, "") + API + path;
}

async function call(method, path, { body, json, signal } = {}) {
  const headers = json === undefined ? {} : { "Content-Type": "application/json" };
  const sent = json === undefined ? body : JSON.stringify(json);
  let answer;
  try {
    answer = await fetch(route(path), { method, headers, body: sent, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new StudioError("The studio does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  let told = {};
  try {
    told = await answer.json();
  } catch {
    // not from the studio itself, or cut off: the status says what there is to say
  }
  throw new StudioError(told.error ?? `The studio answered with an error (${answer.status}).`, told.field ?? null, answer.status);
}

/** Whether an answer says that the job has ended, and nothing will come any more. */
export const ended = (answer) => answer.headers.has("X-Ended");

export const read = async (...request) => (await call(...request)).json();

export const api = {
  submit: (draft) => read("POST", "/jobs", { json: draft }),
  live: (draft, session) => read("POST", `/jobs?live=${encodeURIComponent(session)}`, { json: draft }),
  livePicture: (id, signal) => call("GET", `/jobs/${encodeURIComponent(id)}/picture`, { signal }),
  batch: (wanted) => read("POST", "/batches", { json: wanted }),
  jobs: (limit) => read("GET", `/jobs?limit=${limit}`),
  active: (limit) => read("GET", `/jobs?active=1&limit=${limit}`),
  cancel: (id) => read("DELETE", `/jobs/${encodeURIComponent(id)}`),
  turn: (id, verb) => read("POST", `/jobs/${encodeURIComponent(id)}/${verb}`), // pause, resume, retry; keep a live one
  preview: (id, after, signal) => call("GET", `/jobs/${encodeURIComponent(id)}/preview?after=${after}`, { signal }),
  images: (limit) => read("GET", `/images?limit=${limit}`),
  upload: (blob) => read("POST", "/uploads", { body: blob }),
  recipe: (blob) => read("POST", "/recipe", { body: blob }),
  prompt: (question) => read("POST", "/prompt", { json: question }),
  words: () => read("GET", "/words"),
  styled: (words) => read("POST", "/styles/apply", { json: words }),
  keepStyle: (style) => read("PUT", "/styles", { json: style }),
  models: () => read("GET", "/models"),
  health: () => read("GET", "/health"),
};

export const imageUrl = (id) => route(`/images/${encodeURIComponent(id)}`);
export const thumbnailUrl = (id) => route(`/images/${encodeURIComponent(id)}/thumbnail`);
/** One sheet of several pictures. */
export const gridUrl = (ids, download = false) => route(`/grid?${ids.map((id) => `image=${encodeURIComponent(id)}`).join("&")}${download ? "&download=1" : ""}`);
export const uploadUrl = (id) => route(`/uploads/${encodeURIComponent(id)}`);
