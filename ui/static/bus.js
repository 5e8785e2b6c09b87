// What the parts of the page tell each other, by name.

const bus = new EventTarget();

/** Call `listener(detail)` whenever `name` is told. */
export function on(name, listener) {
  bus.addEventListener(name, (event) => listener(event.detail));
}

export function tell(name, detail) {
  bus.dispatchEvent(new CustomEvent(name, { detail }));
}
