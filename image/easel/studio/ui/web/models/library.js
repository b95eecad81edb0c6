// The models of this endpoint: asked for, kept in the store under `library`, and what is shown of them.
import { get } from "../api.js";
import { on } from "../events.js";
import { store } from "../store.js";
import { decimal } from "../texts.js";

/** Kinds in the order of their tabs. Those behind the sixth have one only where there is such a file. */
export const KINDS = [
  "checkpoint", "lora", "embedding", "vae", "controlnet", "upscaler", "hypernetwork", "text_encoder", "image_encoder",
  "face_restorer",
];
export const SORTS = ["name", "used", "newest", "largest"];
const ALWAYS = 6;

/**
 * @typedef {{kind: string, name: string, folder: string, label: string, use: string, size: number, modified: number,
 *   family: string, family_label: string, base_model: string, fits: boolean, problem: string, trained_words: string[],
 *   words: string, negative_words: string, weight: number, notes: string, description: string, model: string,
 *   version: string, page: string, address: string, version_id: number, newer: object|null, preview: string|null,
 *   in_use: boolean, may_change: boolean, sha256: string, training: string, training_remark: object|null, path: string, formerly: string[]}} Model
 */

let asking = null, again = false;

/** Ask for all models. Who asks meanwhile gets an answer that is newer than their question. */
export async function load() {
  if (asking) { again = true; return asking; }
  asking = (async () => {
    do {
      again = false;
      try {
        store.set("library", await get("studio/models/library"));
        store.set("library-trouble", "");
      } catch (error) {
        store.set("library-trouble", error.words);
      }
    } while (again);
    // With nothing in between: who asks from here on is not heard by the loop above.
    asking = null;
  })();
  return asking;
}

/** Keep it as it is on the disk, for as long as the page is open. */
export function follow() {
  on("models", load);
  store.on("session", (session) => {
    // What fits is another matter with another checkpoint. Asked by what the library knows: the page shows a choice
    // before the studio has heard of it.
    const library = store.get("library");
    if (library && (session?.checkpoint?.name ?? "") !== library.checkpoint) load();
  });
  store.on("connection", (state) => { if (state === "ok") load(); });
  load();
}

/** The tabs, with how many there are: `[["", 12], ["lora", 3], …]`. */
export function counted(library) {
  const counts = library?.kinds ?? {};
  const kinds = KINDS.filter((one, place) => place < ALWAYS || counts[one]);
  return [["", library?.total ?? 0], ...kinds.map((one) => [one, counts[one] ?? 0])];
}

/** Folders of the models of a kind, those above them too. */
export function folders(models, kind) {
  const found = new Set();
  for (const one of models) {
    if ((kind && one.kind !== kind) || one.folder === "/") continue;
    const parts = one.folder.split("/");
    for (let deep = 1; deep <= parts.length; deep += 1) found.add(parts.slice(0, deep).join("/"));
  }
  return [...found].sort((one, other) => one.localeCompare(other));
}

/** Families of the models, as people call them. */
export const families = (models) => [...new Set(models.map((one) => one.family_label).filter(Boolean))].sort();

/** Ask in how many of one's own pictures models stand: only for who wants them in that order. */
export async function countUses() {
  try {
    store.set("library-used", (await get("studio/models/used")).used);
  } catch (error) {
    store.set("library-trouble", error.words);
  }
}

const uses = ({ kind, name }) => store.get("library-used")?.[kind]?.[name] ?? 0;

/** What of the models somebody wants to see. @param {Model[]} models */
export function wanted(models, { kind, folder, family, search, sort, fitting }) {
  const pieces = search.toLowerCase().split(/\s+/).filter(Boolean);
  const byName = (one, other) => one.label.localeCompare(other.label) || one.name.localeCompare(other.name);
  const order = {
    name: byName,
    used: (one, other) => uses(other) - uses(one) || byName(one, other),
    newest: (one, other) => other.modified - one.modified,
    largest: (one, other) => other.size - one.size,
  }[sort];
  return models
    .filter((one) => (!kind || one.kind === kind)
      && (!folder || one.folder === folder || one.folder.startsWith(`${folder}/`))
      && (!family || one.family_label === family)
      && (!fitting || one.fits)
      && pieces.every((piece) => text(one).includes(piece)))
    .sort(order);
}

const text = (one) => [one.name, one.model, one.version, one.base_model, one.words, one.notes, ...one.trained_words, ...one.formerly]
  .join("\n").toLowerCase();

/** Bytes for people. */
export function size(bytes) {
  const [unit, part] = [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]].find(([, least]) => bytes >= least) ?? ["B", 1];
  const digits = part === 1 || bytes / part >= 100 ? 0 : 1;
  return `${decimal(bytes / part, digits)} ${unit}`;
}
