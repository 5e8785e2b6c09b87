/** The canvas's icons: 24 x 24 outlines in the colour of the text around them. */

/** @type {Record<string, string>} */
const SHAPES = {
  brush:
    '<path d="M20.500 3.500c-4.500 2-9 6-11 10l1.600 1.600c4-2 8-6.600 9.400-11.600z"/><path d="M8 14.500c-2 .2-3 1.600-3.100 3.300-.1 1.100-.7 1.900-1.600 2.300 3 .9 6.300 0 6.800-3.400"/>',
  eraser:
    '<path d="M8.500 19.500 4.600 15.600a1.700 1.700 0 0 1 0-2.400l8.600-8.600a1.700 1.700 0 0 1 2.400 0l3.800 3.800a1.700 1.700 0 0 1 0 2.400l-8.700 8.700z"/><path d="m9.200 8.700 6.200 6.200M8.500 19.500H20"/>',
  undo: '<path d="M8.500 13.500 4 9l4.500-4.500"/><path d="M4 9h10.500a5.500 5.500 0 0 1 0 11H11"/>',
  redo: '<path d="M15.500 13.500 20 9l-4.500-4.500"/><path d="M20 9H9.500a5.500 5.500 0 0 0 0 11H13"/>',
  clear: '<path d="M4.500 7h15M9.500 7V4.500h5V7M6.500 7l.8 12.500h9.400L17.500 7M10.300 10.500v5.500M13.700 10.500v5.500"/>',
  invert: '<circle cx="12" cy="12" r="8"/><path d="M12 4a8 8 0 0 1 0 16z" fill="currentColor"/>',
  upload: '<path d="M12 15V4M7.500 8.500 12 4l4.500 4.500M4.500 15v4.500h15V15"/>',
  picture:
    '<rect x="3.500" y="5" width="17" height="14" rx="1.500"/><path d="m4 16.500 4.800-5 4 4.200 2.700-2.700 4.500 4.500"/><circle cx="15.300" cy="9.300" r="1.300"/>',
  fit: '<path d="M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5"/>',
  transparency:
    '<rect x="4" y="4" width="16" height="16" rx="1.500"/><path d="M4 4h8v8H4zM12 12h8v8h-8z" fill="currentColor" stroke="none"/>',
  pressure:
    '<path d="m4 20 1.500-5.500L15.800 4.200a1.500 1.500 0 0 1 2.100 0l1.900 1.900a1.500 1.500 0 0 1 0 2.100L9.500 18.500z"/><path d="M13 20h7"/>',
};

/**
 * @param {keyof typeof SHAPES} name
 * @returns {string} an SVG element that screen readers skip
 */
export function icon(name) {
  const stroke = 'fill="none" stroke="currentColor" stroke-width="1.600" stroke-linecap="round" stroke-linejoin="round"';
  return `<svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" focusable="false" ${stroke}>${SHAPES[name]}</svg>`;
}
