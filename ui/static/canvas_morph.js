/** Grows, shrinks and feathers a mask. Pure functions of bytes. */

/** @typedef {{width: number, height: number, data: Uint8Array}} Bytes */

const HALF = 128;

/**
 * Everything within `radius` pixels of the mask belongs to it; distances are those of a ruler, so corners grow round.
 * @param {Bytes} mask
 * @param {number} radius
 * @returns {Uint8Array}
 */
export function grown({ width, height, data }, radius) {
  const reach = Math.max(0, Math.round(radius));
  const gaps = columnGaps(width, height, data, reach);
  const half = Int32Array.from({ length: reach + 1 }, (_, gap) => Math.floor(Math.sqrt(reach * reach - gap * gap)));
  const result = Uint8Array.from(data);
  const turns = new Int32Array(width + 1);
  for (let y = 0; y < height; y++) {
    turns.fill(0);
    for (let x = 0; x < width; x++) {
      const gap = gaps[y * width + x];
      if (gap > reach) continue;
      turns[Math.max(0, x - half[gap])]++;
      turns[Math.min(width, x + half[gap] + 1)]--;
    }
    for (let x = 0, depth = 0; x < width; x++) {
      depth += turns[x];
      if (depth > 0) result[y * width + x] = 255;
    }
  }
  return result;
}

/**
 * The reverse: what is not masked grows. The edge of the picture is no edge of the mask.
 * @param {Bytes} mask
 * @param {number} radius
 * @returns {Uint8Array}
 */
export function shrunk(mask, radius) {
  const kept = mask.data.map((value) => 255 - value);
  return grown({ ...mask, data: kept }, radius).map((value) => 255 - value);
}

/**
 * How far up or down each pixel's nearest masked one in its column is; more than `reach` where there is none so near.
 * @param {number} width
 * @param {number} height
 * @param {Uint8Array} data
 * @param {number} reach
 * @returns {Uint16Array}
 */
function columnGaps(width, height, data, reach) {
  const gaps = new Uint16Array(width * height);
  for (let at = 0; at < gaps.length; at++) {
    const above = at < width ? reach + 1 : gaps[at - width] + 1;
    gaps[at] = data[at] >= HALF ? 0 : Math.min(reach + 1, above);
  }
  for (let at = gaps.length - width - 1; at >= 0; at--) gaps[at] = Math.min(gaps[at], gaps[at + width] + 1);
  return gaps;
}

/**
 * Blurs the mask: three box blurs, which together are close to a Gaussian.
 * @param {Bytes} mask
 * @param {number} radius  of the Gaussian, its standard deviation in pixels
 * @returns {Uint8Array}
 */
export function feathered({ width, height, data }, radius) {
  let from = Float32Array.from(data);
  let to = new Float32Array(data.length);
  for (const reach of boxes(radius)) {
    for (let y = 0; y < height; y++) blurLine(from, to, y * width, 1, width, reach);
    for (let x = 0; x < width; x++) blurLine(to, from, x, width, height, reach);
  }
  return Uint8Array.from(from, Math.round);
}

/**
 * Half widths of three boxes whose variances add up to that of the Gaussian, as nearly as whole pixels allow.
 * @param {number} sigma
 * @returns {number[]}
 */
function boxes(sigma) {
  const small = Math.max(0, Math.floor((Math.sqrt(4 * sigma * sigma + 1) - 1) / 2));
  const variance = (/** @type {number} */ half) => (half * (half + 1)) / 3;
  const larger = Math.round((sigma * sigma - 3 * variance(small)) / (variance(small + 1) - variance(small)));
  return [0, 1, 2].map((i) => (i < larger ? small + 1 : small));
}

/**
 * The mean of each value and `reach` neighbours on both sides; beyond its ends the line goes on as it ends.
 * @param {Float32Array} from
 * @param {Float32Array} to
 * @param {number} start
 * @param {number} step
 * @param {number} length
 * @param {number} reach
 */
function blurLine(from, to, start, step, length, reach) {
  const at = (/** @type {number} */ i) => from[start + Math.min(length - 1, Math.max(0, i)) * step];
  let sum = 0;
  for (let i = -reach; i <= reach; i++) sum += at(i);
  for (let i = 0; i < length; i++) {
    to[start + i * step] = sum / (2 * reach + 1);
    sum += at(i + reach + 1) - at(i - reach);
  }
}
