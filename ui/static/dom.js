// Small helpers to make elements. Text is always set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

// Each icon is drawn in a 20 x 20 box with a 1.5 px stroke.
const ICONS = {
  close: "M5 5l10 10M15 5L5 15",
  dice: "M4 4h12v12H4zM7.5 7.5h.01M12.5 12.5h.01M12.5 7.5h.01M7.5 12.5h.01",
  down: "M5 8l5 5 5-5",
  download: "M10 3v10M6 9.5l4 4 4-4M4 17h12",
  again: "M4 10a6 6 0 1 0 2-4.5M4 3v4h4",
  brush: "M12 4l4 4-7.5 7.5H4.5V11.5zM10.5 5.5l4 4",
  compare: "M10 2v16M4 5h4v10H4zM12 5h4v10h-4z",
  copy: "M7 7h9v9H7zM4 13V4h9",
  enlarge: "M4 9V4h5M16 11v5h-5M4 4l5 5M16 16l-5-5",
  grid: "M3 3h6v6H3zM11 3h6v6h-6zM3 11h6v6H3zM11 11h6v6h-6z",
  lock: "M5 9h10v8H5zM7 9V6.5a3 3 0 0 1 6 0V9",
  moon: "M16 11.5A6.5 6.5 0 0 1 8.5 4 6.5 6.5 0 1 0 16 11.5z",
  sun: "M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM10 2v1.5M10 16.5V18M2 10h1.5M16.5 10H18M4.3 4.3l1.1 1.1M14.6 14.6l1.1 1.1M4.3 15.7l1.1-1.1M14.6 5.4l1.1-1.1",
  open: "M3 16V4h5l2 2.5h7V16zM10 9v4M8 11h4",
  pause: "M7 5v10M13 5v10",
  play: "M6.5 4.5l9 5.5-9 5.5z",
  picture: "M3 4h14v12H3zM3 13.5l4-4 3.5 3.5 2.5-2.5 4 4M13 7.5h.01",
  plus: "M10 4v12M4 10h12",
  recipe: "M5 3h10v14H5zM8 7h4M8 10h4M8 13h2",
  shelf: "M4 3v14M8 3v14M12 3.5l4 13M3 17h14",
  swap: "M4 7h11M12 4l3 3-3 3M16 13H5M8 10l-3 3 3 3",
  trash: "M4 6h12M8 6V4h4v2M6 6l.7 11h6.6L14 6",
};

/** An element with properties and children; `on` maps event names to listeners, `data` and `aria` to attributes. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (name === "data" || name === "aria") for (const [key, each] of Object.entries(value)) node.setAttribute(`${name}-${key}`, each);
    else if (name === "text") node.textContent = value;
    else if (name === "class") node.className = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A line icon that says nothing to a screen reader: its button has the words. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 20 20", class: "sl-icon", "aria-hidden": "true", focusable: "false" })) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button with an icon, a label or both; without visible text the label becomes its name and its tooltip. */
export function button({ label, icon: name, quiet = false, kind = quiet ? "icon-button" : "plain", onclick, ...more }) {
  const node = el("button", { type: "button", class: `sl-button sl-${kind}`, ...more, on: { click: onclick } });
  if (name) node.append(icon(name));
  if (quiet) {
    node.setAttribute("aria-label", label);
    node.title = more.title ?? label;
  } else node.append(el("span", { text: label }));
  return node;
}

/** The chooser for a picture file, unseen: a button of ours opens it. */
export function pictureFile(label, take, accept = "image/png,image/jpeg,image/webp") {
  const input = el("input", { type: "file", accept, class: "sl-unseen", tabindex: "-1", aria: { label } });
  input.addEventListener("change", () => {
    if (input.files[0]) take(input.files[0]);
    input.value = ""; // the same file may be chosen again
  });
  return input;
}

/** Fill an element anew. */
export function fill(node, ...children) {
  node.replaceChildren(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Set text only where it differs, so that screen readers and selections are left alone. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const fillers = new Map();

/** Fill every `<div data-mount=name>` with `make(element)`, now and whenever one appears: tabs are drawn when first opened. */
export function mount(name, make) {
  fillers.set(name, make);
}

/** Start looking for places to fill. `also` runs after each look at a page that has changed. */
export function watchMounts(also) {
  let planned = false;
  const look = () => {
    planned = false;
    for (const place of document.querySelectorAll("[data-mount]:not([data-mounted])")) {
      const make = fillers.get(place.dataset.mount);
      if (!make) continue;
      place.dataset.mounted = "";
      make(place);
    }
    also();
  };
  new MutationObserver(() => {
    if (!planned) queueMicrotask(look);
    planned = true;
  }).observe(document.body, { childList: true, subtree: true });
  look();
}
