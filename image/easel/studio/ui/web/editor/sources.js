// Pictures that work begins with. Files are kept on this device: a reload loses none.
import { at } from "../api.js";
import { setFields } from "../create/fields.js";
import { sizeFor } from "../create/source-size.js";
import { store } from "../store.js";
import { t } from "../texts.js";

/**
 * @typedef {object} Source  what stands in the field `source`
 * @property {string} [key]  of a file on this device
 * @property {string} [url]  of a picture of the studio
 * @property {number} width
 * @property {number} height
 * @property {string} name
 */

/** What the studio takes: api/requests/sent_picture.py, and api/middleware.py, where base64 makes a third more. */
const MOST_MEGAPIXELS = 50, MOST_BYTES = 45 * 2 ** 20;
const FILES = "files", KEPT = 200;
/** Before the keys of what a page that is left still had to keep: the database's writing ends with the page. */
const LEFT = "easel-left:";

/** What was put here since the page was opened: there without asking, and where a browser keeps nothing. */
const blobs = new Map(), addresses = new Map();
let opened = null;

/** A picture cannot be taken; `words` are for people. */
export class SourceError extends Error {
  constructor(words) {
    super(words);
    this.words = words;
    this.field = "source";
  }
}

function database() {
  opened ??= new Promise((done, failed) => {
    const asked = indexedDB.open("easel-sources", 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(FILES);
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => failed(asked.error);
  });
  return opened;
}

/** Done when it lies in the database: a transaction that a reload meets in the middle has changed nothing. */
async function work(mode, how) {
  const all = (await database()).transaction(FILES, mode);
  return new Promise((done, failed) => {
    const asked = how(all.objectStore(FILES));
    all.oncomplete = () => done(asked.result);
    all.onerror = all.onabort = () => failed(all.error);
  });
}

/** A key that sorts by when it was made. */
export const newKey = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;

/** Keep a file under a key; the oldest that no field names go when there are too many. */
export async function keepBlob(key, blob) {
  blobs.set(key, blob);
  URL.revokeObjectURL(addresses.get(key));
  addresses.delete(key);
  try {
    await work("readwrite", (files) => files.put(blob, key));
    localStorage.removeItem(LEFT + key);
    const keys = await work("readonly", (files) => files.getAllKeys()), named = JSON.stringify(store.get("fields"));
    const old = keys.slice(0, Math.max(0, keys.length - KEPT)).filter((one) => !named.includes(one));
    for (const one of old) await work("readwrite", (files) => files.delete(one));
  } catch { /* private mode, or full: it is here until the page is closed */ }
}

/** Keep a file at once, for the page is being left; it goes into the database when it is next asked for. @param {string} data  a data: URI */
export function keepAtOnce(key, data) {
  try { localStorage.setItem(LEFT + key, data); } catch { /* full, or forbidden: what the database has counts */ }
}

/** @returns {Promise<Blob|null>} */
export async function keptBlob(key) {
  if (blobs.has(key)) return blobs.get(key);
  const left = leftBlob(key), found = left ?? await work("readonly", (files) => files.get(key)).catch(() => null);
  if (left) keepBlob(key, left);
  else if (found) blobs.set(key, found);
  return found ?? null;
}

function leftBlob(key) {
  let left = null;
  try { left = localStorage.getItem(LEFT + key); } catch { /* private mode */ }
  if (!left) return null;
  const [head, data] = left.split(","), bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  return new Blob([bytes], { type: head.slice("data:".length, head.indexOf(";")) });
}

/** Take a file of this device. Raises SourceError. @returns {Promise<Source>} */
export async function sourceOfFile(file) {
  const name = file.name || t("editor.source.pasted");
  const size = await sizeOfBlob(file).catch(() => { throw new SourceError(t("editor.source.unreadable", { name })); });
  const megapixels = size.width * size.height / 1e6;
  if (megapixels > MOST_MEGAPIXELS || file.size > MOST_BYTES) {
    throw new SourceError(t("editor.source.too-large", {
      name, ...size, megapixels: Math.round(megapixels), most: MOST_MEGAPIXELS, bytes: Math.round(file.size / 2 ** 20), most_bytes: MOST_BYTES / 2 ** 20,
    }));
  }
  const key = newKey();
  await keepBlob(key, file);
  return { key, ...size, name };
}

/** A picture of the studio as a source. @returns {Source} */
export const sourceOfPicture = ({ url, width, height, id }) => ({ url, width, height, name: id });

async function sizeOfBlob(blob) {
  const picture = await createImageBitmap(blob), { width, height } = picture;
  picture.close();
  return { width, height };
}

/** Its file. Raises SourceError where it is gone. @param {Source} source */
export async function blobOf(source) {
  const blob = source.key ? await keptBlob(source.key) : await fetch(at(source.url)).then((one) => (one.ok ? one.blob() : null), () => null);
  if (!blob) throw new SourceError(t("editor.source.gone", { name: source.name }));
  return blob;
}

/** An address to show it by. Raises SourceError. */
export async function addressOf(source) {
  if (source.url) return at(source.url);
  if (!addresses.has(source.key)) addresses.set(source.key, URL.createObjectURL(await blobOf(source)));
  return addresses.get(source.key);
}

/** As requests carry it: a data: URI. */
export function dataOfBlob(blob) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(blob);
  });
}

export const dataOf = async (source) => dataOfBlob(await blobOf(source));

/** What tells a source from another. */
export const idOf = (source) => source?.key ?? source?.url ?? null;

/** Work with another picture from now on, at its size. */
export function setSource(source) {
  store.set("preparing", true);
  setFields({ source: source ?? undefined, init_images: undefined, ...(source ? sizeFor(source) : {}) });
}
