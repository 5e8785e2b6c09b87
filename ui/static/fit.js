// How large a picture is shown: as large as fits, and crisp where it is small.

const SMALL = 256; // up to this many pixels a side, enlarged pixels are shown as squares rather than smeared

/** The size in CSS pixels of a `width` x `height` picture in a `room` of {width, height}, and whether its pixels stay squares. */
export function fit(width, height, room) {
  let scale = Math.min(room.width / width, room.height / height);
  const crisp = isSmall(width, height) && scale > 1;
  const whole = Math.floor(scale * devicePixelRatio) / devicePixelRatio;
  if (crisp && whole / scale > 0.87) scale = whole; // every pixel equally large
  return { width: Math.round(width * scale), height: Math.round(height * scale), crisp };
}

/** Whether a picture of this size is shown with square pixels, in small places that crop it too. */
export const isSmall = (width, height) => Math.max(width, height) <= SMALL;

/** Columns and rows for `count` pictures of this shape that leave each one largest. */
export function grid(count, width, height, room) {
  let best = { columns: 1, scale: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const scale = Math.min(room.width / (columns * width), room.height / (rows * height));
    if (scale > best.scale) best = { columns, rows, scale };
  }
  return best;
}

/** Give an image element its size for this room. `pixels` is the size of the picture it stands for, where that is not its own. */
export function size(image, room, pixels = null) {
  const width = pixels?.width || image.naturalWidth;
  const height = pixels?.height || image.naturalHeight;
  if (!width || !height) return;
  const fitted = fit(width, height, room);
  image.style.width = `${fitted.width}px`;
  image.style.height = `${fitted.height}px`;
  image.classList.toggle("sl-crisp", fitted.crisp);
}
