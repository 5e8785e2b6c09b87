// What the page remembers in this browser: every control's value, the open tab, the pictures in use.

const KEY = "safelight.form";

function load() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {}; // damaged or refused: start afresh
  }
}

const kept = load();

export const store = {
  tab: kept.tab ?? null,
  values: kept.values ?? {}, // by task, by control
  pictures: kept.pictures ?? {}, // by task: {id, width, height, name}
  many: kept.many ?? {}, // by task: {matrix, lines}
  batches: kept.batches ?? [], // {jobs, made}: the jobs of one click, and by job the pictures it made; newest click first
  control: kept.control ?? {}, // by task: units
  folds: kept.folds ?? {}, // by task, by name: whether it is open
  lastSeed: kept.lastSeed ?? null,
};

let planned = 0;

function write() {
  clearTimeout(planned);
  planned = 0;
  try {
    localStorage.setItem(KEY, JSON.stringify(store));
  } catch {
    // storage is full or refused: the page works on, it only forgets
  }
}

/** Remember soon; many changes become one write. */
export function keep() {
  if (!planned) planned = setTimeout(write, 200);
}

addEventListener("pagehide", write);

// The mask is a picture, too large for the above.
function database() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("safelight", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("blobs");
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

async function transact(mode, act) {
  const db = await database();
  try {
    return await new Promise((resolve, reject) => {
      const asked = act(db.transaction("blobs", mode).objectStore("blobs"));
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = () => reject(asked.error);
    });
  } finally {
    db.close();
  }
}

export const keepBlob = (name, blob) => transact("readwrite", (blobs) => (blob ? blobs.put(blob, name) : blobs.delete(name)));
export const keptBlob = (name) => transact("readonly", (blobs) => blobs.get(name));
