// The part of the studio's HTTP API that is about models.

import { read, route } from "./api.js";

const at = (kind, name) => `/library/${encodeURIComponent(kind)}/${name.split("/").map(encodeURIComponent).join("/")}`;

export const libraryApi = {
  library: () => read("GET", "/library"),
  one: ({ kind, name }) => read("GET", at(kind, name)),
  annotate: ({ kind, name }, json) => read("PUT", `${at(kind, name)}/notes`, { json }),
  setPreview: ({ kind, name }, image) => read("PUT", `${at(kind, name)}/preview`, { json: { image } }),
  dropPreview: ({ kind, name }) => read("DELETE", `${at(kind, name)}/preview`),
  load: (checkpoint) => read("POST", "/models/load", { json: { checkpoint } }),
  unload: (checkpoint) => read("POST", "/models/unload", { json: { checkpoint } }),
  convert: ({ kind, name }) => read("POST", "/models/convert", { json: { kind, name } }),
  conversions: () => read("GET", "/models/conversions"),
  look: (source) => read("POST", "/downloads/look", { json: { source } }),
  downloads: () => read("GET", "/downloads"),
  download: (json) => read("POST", "/downloads", { json }),
  cancel: (id) => read("DELETE", `/downloads/${encodeURIComponent(id)}`),
  retry: (id) => read("POST", `/downloads/${encodeURIComponent(id)}/retry`),
};

/** The picture of a model; its address changes with it, so that browsers may keep it. */
export const previewUrl = ({ kind, name, preview }) => `${route(at(kind, name))}/preview?${preview}`;
