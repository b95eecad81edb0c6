// The sheets that are painted on now, one of a kind: over one source, and kept on this device with it.
import { field, setField } from "../create/fields.js";
import { Layer } from "./layer.js";
import { idOf, keepAtOnce, keepBlob, keptBlob, newKey } from "./sources.js";

/** A sheet need not be finer than what is drawn of it, and a telephone's memory is small. */
const LONGEST = 2048;
const open = new Map();
/** What is not kept yet as it is, and whether something is being kept now: strokes come faster than files are written. */
const unkept = new Map();
let keeping = false;

/** What is under the sheet: a source, or an empty canvas of a size. @typedef {{id: string, width: number, height: number}} Ground */

/** @returns {Ground|null} */
export function groundOf(source) {
  return source ? { id: idOf(source), width: source.width, height: source.height } : null;
}

/**
 * The sheet of a kind over a ground; what was painted there before is on it.
 * @param {"mask"|"sketch"} kind  also the field that remembers where it is kept
 * @param {Ground} ground @returns {Promise<Layer>}
 */
export function layerOver(kind, ground) {
  const known = open.get(kind);
  if (known?.id === ground.id) return known.layer;
  const by = Math.min(1, LONGEST / Math.max(ground.width, ground.height));
  const layer = new Layer(Math.max(1, Math.round(ground.width * by)), Math.max(1, Math.round(ground.height * by)));
  const kept = field(kind), made = kept?.of === ground.id
    ? keptBlob(kept.key).then((blob) => blob && layer.load(blob)).then(() => layer) : Promise.resolve(layer);
  open.set(kind, { id: ground.id, layer: made });
  return made;
}

/** Something was painted: keep it, and say in the field whether there is anything. */
export function painted(kind, ground, layer) {
  const kept = field(kind), mine = kept?.of === ground.id;
  // What no field names any more nobody would take out again, should the page be left now.
  if (kept && (!mine || layer.empty)) unkept.delete(kept.key);
  if (layer.empty) return setField(kind, undefined);
  const key = mine ? kept.key : newKey();
  setField(kind, { key, of: ground.id });
  unkept.set(key, { layer });
  if (!keeping) keepAll();
}

async function keepAll() {
  keeping = true;
  while (unkept.size) {
    const [[key, change]] = unkept;
    await keepBlob(key, await change.layer.blob());
    // Painted on meanwhile, it is to be kept once more.
    if (unkept.get(key) === change) unkept.delete(key);
  }
  keeping = false;
}

/** The page is left, or may be: a telephone ends what is out of sight without a word. Nothing that takes time is done any more then. */
function leave() {
  for (const [key, { layer }] of unkept) keepAtOnce(key, layer.canvas.toDataURL());
}
addEventListener("pagehide", leave);
document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && leave());

/** Whether anything is painted over a ground. */
export const isPainted = (kind, ground) => !!ground && field(kind)?.of === ground.id;
