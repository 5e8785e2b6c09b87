/** Writes PNG files by hand: a browser's canvas would make every picture RGBA, and some add noise to what is read from a canvas. */

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});
const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const KINDS = { 1: 0, 3: 2 }; // PNG's colour types, by bytes per pixel

/**
 * @param {string} type
 * @param {Uint8Array} body
 * @returns {Uint8Array<ArrayBuffer>}
 */
function chunk(type, body) {
  const bytes = new Uint8Array(body.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i);
  bytes.set(body, 8);
  let crc = 0xffffffff;
  for (let i = 4; i < body.length + 8; i++) crc = CRC[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  view.setUint32(body.length + 8, ~crc);
  return bytes;
}

/**
 * @param {{width: number, height: number, data: Uint8Array}} picture  rows of bytes
 * @param {1 | 3} [channels]  bytes per pixel: gray or RGB
 * @returns {Promise<Blob>} an 8-bit PNG
 */
export async function png({ width, height, data }, channels = 1) {
  const stride = width * channels;
  const rows = new Uint8Array((stride + 1) * height);
  for (let y = 0; y < height; y++) rows.set(data.subarray(y * stride, (y + 1) * stride), y * (stride + 1) + 1);
  const body = new Uint8Array(await new Response(squeezed(rows, "deflate")).arrayBuffer());
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = 8;
  header[9] = KINDS[channels];
  const parts = [SIGNATURE, chunk("IHDR", header), chunk("IDAT", body), chunk("IEND", new Uint8Array())];
  return new Blob(/** @type {BlobPart[]} */ (parts), { type: "image/png" });
}

/**
 * @param {Uint8Array} bytes  copied at once, so they may change while they are read
 * @param {CompressionFormat} format
 * @returns {ReadableStream}
 */
export function squeezed(bytes, format) {
  return new Blob([/** @type {BlobPart} */ (bytes)]).stream().pipeThrough(new CompressionStream(format));
}
