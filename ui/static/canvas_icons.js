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
  lasso:
    '<path d="M12 4.500c4.700 0 8.500 2.500 8.500 5.700s-3.800 5.700-8.500 5.700-8.500-2.500-8.500-5.700S7.300 4.500 12 4.500z" stroke-dasharray="3.200 2.400"/><path d="M7 15c1.600.6 2.200 1.700 1.600 3-.5 1-1.600 1.700-3.100 2"/>',
  rectangle: '<rect x="4" y="5.500" width="16" height="13" rx="1" stroke-dasharray="3.200 2.400"/>',
  fill: '<path d="m11 3.500 7.500 7.500-6.300 6.300a1.700 1.700 0 0 1-2.400 0l-5-5a1.700 1.700 0 0 1 0-2.400z"/><path d="M4.500 11h14M20 15.500c1 1.500 1.400 2.300 1.400 3a1.400 1.400 0 0 1-2.800 0c0-.7.400-1.500 1.400-3z"/>',
  eyedropper:
    '<path d="m4 20 .8-3.300 8.700-8.700 2.500 2.500-8.700 8.700z"/><path d="m12 6.500 5.500 5.500M14.700 7.300l2.500-2.500a1.800 1.800 0 0 1 2.500 0 1.800 1.800 0 0 1 0 2.500l-2.500 2.500"/>',
  close: '<path d="m7 7 10 10M17 7 7 17"/>',
  frame: '<path d="M7 3v14h14M3 7h14v14"/>',
  more: '<circle cx="12" cy="5.500" r="1"/><circle cx="12" cy="12" r="1"/><circle cx="12" cy="18.500" r="1"/>',
  actual: '<path d="M5 8.500 7.500 7v10M16.500 8.500 19 7v10"/><path d="M12 10h.01M12 14.500h.01"/>',
  help: '<circle cx="12" cy="12" r="8.500"/><path d="M9.700 9.700a2.400 2.400 0 1 1 3.500 2.100c-.8.400-1.200 1-1.200 1.900M12 16.600h.01"/>',
  mask: '<rect x="4" y="5" width="16" height="14" rx="1.500"/><path d="M12 8.500a3.500 3.500 0 1 1 0 7 3.500 3.500 0 0 1 0-7z" fill="currentColor"/>',
  eye: '<path d="M2.800 12S6 6 12 6s9.200 6 9.200 6-3.200 6-9.200 6-9.200-6-9.200-6z"/><circle cx="12" cy="12" r="2.600"/>',
  eyeless: '<path d="M4 4.500l16 15M9.700 6.300C10.400 6.100 11.200 6 12 6c6 0 9.200 6 9.200 6s-.9 1.700-2.600 3.300M15.600 17.200c-1.100.5-2.300.8-3.600.8-6 0-9.200-6-9.200-6s1.200-2.300 3.600-4.100"/>',
  sliders: '<path d="M4 7.500h8M16.500 7.500H20M4 16.500h3.500M12 16.500h8"/><circle cx="14.200" cy="7.500" r="2.200"/><circle cx="9.700" cy="16.500" r="2.200"/>',
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
