// Clips: how they are played on the stage, and the frame that is seen as a picture to go on from.

import { imageUrl, thumbnailUrl } from "./api.js";
import { el } from "./dom.js";
import * as form from "./form.js";
import { able, asked } from "./models.js";

export const LACKING = "Clips are made by Stable Video Diffusion, a checkpoint that is not here yet.";
/** Whether this tab makes clips, and nothing that is here can. */
export const lacking = (task) => Boolean(form.tab(task)?.moves) && asked() && !able("img2vid");

/** Whether it moves: pictures are PNG files. */
export const isClip = ({ media_type }) => media_type !== "image/png";
/** Whether it takes a player; a WebP moves by itself. */
export const isFilm = ({ media_type }) => media_type === "video/mp4";

const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** The clip, playing over and over; with its controls, unless it is one of several. */
export function player(made, { title, alone }) {
  const video = el("video", {
    class: "sl-made", src: imageUrl(made.id), poster: thumbnailUrl(made.id), width: made.width, height: made.height, preload: "auto",
    loop: true, muted: true, playsinline: true, autoplay: !calm.matches, controls: alone, data: { image: made.id }, aria: { label: title },
  }); // prettier-ignore
  video.muted = true; // the attribute alone does not count for elements made by a script, and only what is silent may play by itself
  return video;
}

/** The frame that is shown of a clip on the stage, or its first, as a PNG. */
export async function frame(made) {
  const shown = document.querySelector(`.sl-easel [data-image="${made.id}"]`) ?? (await loaded(made));
  const canvas = el("canvas", { width: made.width, height: made.height });
  canvas.getContext("2d").drawImage(shown, 0, 0, made.width, made.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

async function loaded(made) {
  const film = isFilm(made) ? player(made, { title: "", alone: true }) : el("img", { src: imageUrl(made.id) });
  await new Promise((done, failed) => {
    for (const there of ["loadeddata", "load"]) film.addEventListener(there, done, { once: true });
    film.addEventListener("error", () => failed(new Error("The clip cannot be played here.")), { once: true });
  });
  return film;
}
