// What is asked for: the fields as the person set them, and what stands in for those that they did not.
import { wordsOf } from "../remarks.js";
import { store } from "../store.js";
import { t } from "../texts.js";

/** What a field says that nobody touched, where the checkpoint has no opinion. Names are those of A1111's body. */
const PLAIN = {
  mode: "text", prompt: "", negative_prompt: "", shape: "square", n_iter: 1, batch_size: 1, seed: -1,
  subseed: -1, subseed_strength: 0, clip_skip: 1, vae: "Automatic", modules: [], styles: [], tiling: false, cache: "",
  enable_hr: false, hr_scale: 2, hr_upscaler: "Latent", hr_second_pass_steps: 0, hr_denoising_strength: 0.7,
  refiner_checkpoint: "", refiner_switch_at: 0.8,
  restore_faces: false, detail_faces: false, detail_prompt: "", detail_strength: 0.4, detail_units: [],
  kept: {}, reference_images: [],
};
const FALLBACK_SIDE = 512;
const RANGES = {};

/** Modes are loaded later, and bring fields of their own: what stands in them untouched, and the ranges of numbers. */
export function bring(plain, ranges = {}) {
  Object.assign(PLAIN, plain);
  Object.assign(RANGES, ranges);
}

export const checkpoint = () => store.get("session")?.checkpoint ?? null;

/** Whether the checkpoint takes what only UNets do. @param {"controlnet"|"refiner"|"tiling"|"cache"} what */
export const takes = (what) => !checkpoint()?.takes_no?.includes(what);

/** Prompts to begin with: the checkpoint's own, where it can draw little else, or such as anything can draw. */
export function examples() {
  const own = checkpoint()?.examples ?? [];
  return own.length ? own : [1, 2, 3, 4].map((n) => t(`create.example.${n}`));
}

/** The sizes that the chosen checkpoint draws well. @returns {{name: string, width: number, height: number}[]} */
export function shapes() {
  const side = checkpoint()?.sides?.side ?? FALLBACK_SIDE, found = new Map();
  for (const one of checkpoint()?.shapes ?? []) {
    // The smallest checkpoints are square in more than one name.
    const size = `${one.width} ${one.height}`;
    if (!found.has(size)) found.set(size, one);
  }
  return found.size ? [...found.values()] : [{ name: "square", width: side, height: side }];
}

/** A field's value: what the person set, else the checkpoint's own, else the plain one. */
export function field(name) {
  const set = store.get("fields")[name];
  if (set !== undefined) return set;
  const own = checkpoint()?.defaults ?? {};
  const shape = shapes().find((one) => one.name === field.shape()) ?? shapes()[0];
  const derived = {
    steps: own.steps ?? 20, cfg_scale: own.cfg_scale ?? 7, distilled_cfg_scale: own.distilled_cfg_scale ?? undefined,
    denoising_strength: own.denoising_strength ?? 0.75, sampler_name: own.sampler, scheduler: own.scheduler ?? "Automatic",
    width: shape.width, height: shape.height,
  };
  return name in derived ? derived[name] : PLAIN[name];
}
field.shape = () => store.get("fields").shape ?? PLAIN.shape;

/** Set a field; `undefined` gives it back to the checkpoint. What was said about it is no longer true. */
export function setField(name, value) { setFields({ [name]: value }); }

/** Set several at once. */
export function setFields(changes) {
  const fields = { ...store.get("fields"), ...changes };
  for (const [name, value] of Object.entries(changes)) if (value === undefined) delete fields[name];
  const said = Object.fromEntries(Object.entries(store.get("said")).filter(([name]) => !(name in changes)));
  store.set("said", said);
  store.set("fields", fields);
}

/** Say something beside a field: what is wrong with it, or what became of it. */
export function sayOf(name, words, bad = false) {
  store.patch("said", { [name]: words ? { words, bad } : undefined });
}

/** Smallest and largest number that a field takes, as the studio said. */
export function range(name) {
  const limits = store.get("session")?.limits ?? {};
  const side = [limits.side_min ?? 64, limits.side_max ?? 2048];
  return {
    steps: [1, limits.steps ?? 150], hr_second_pass_steps: [0, limits.steps ?? 150], cfg_scale: [0, 100], distilled_cfg_scale: [0, 100],
    width: side, height: side, batch_size: [1, limits.batch_size ?? 8], n_iter: [1, limits.batch_count ?? 100],
    seed: [-1, Number.MAX_SAFE_INTEGER], subseed: [-1, Number.MAX_SAFE_INTEGER], subseed_strength: [0, 1], denoising_strength: [0, 1],
    hr_denoising_strength: [0, 1], hr_scale: [1, 8], refiner_switch_at: [0, 1], clip_skip: [1, 12], detail_strength: [0, 1],
    ...RANGES,
  }[name];
}

/** Why a field cannot be taken, in words, or "". Nothing is changed silently: 9999 steps are told, not cut. */
export function fault(name, value = field(name)) {
  const limits = range(name);
  if (!limits || value === undefined) return ""; // what the checkpoint does not take
  if (typeof value !== "number" || !Number.isFinite(value)) return t("create.fault.number");
  if (value < limits[0]) return t("create.fault.least", { n: limits[0] });
  if (value > limits[1]) return t("create.fault.most", { n: limits[1] });
  return "";
}

/** What is wrong with those of the fields that have anything wrong. @returns {Record<string, string>} */
export function faultsOf(names) {
  return Object.fromEntries(names.map((name) => [name, fault(name)]).filter(([, words]) => words));
}

/** What stands beside a field: its own fault, else what the studio said of it. @returns {{words: string, bad: boolean}|null} */
export function said(name) {
  const words = fault(name);
  return words ? { words, bad: true } : store.get("said")[name] ?? null;
}

/** @typedef {{text: string, code: string|null, values: object, field: string|null}} Remark  a sentence of the studio's */

/** Say what the studio clamped, dropped or left out beside the field that it is about. @returns {boolean} whether there is one */
export function sayRemark(remark) {
  const name = remark.field && fieldNamed(remark.field);
  if (!hasPlace(name)) return false;
  sayOf(name, wordsOf(remark));
  return true;
}

/** Names of A1111's that have no field of their own on the page, by the field where they are seen to. */
const FIELDS = {
  sd_vae: "vae", forge_additional_modules: "modules", CLIP_stop_at_last_layers: "clip_skip", sampler_index: "sampler_name", sampler: "sampler_name", enable_hr: "hr_scale",
  negative: "negative_prompt", ad_prompt: "detail_prompt", ad_denoising_strength: "detail_strength",
};

/** The field of the page that a name of A1111's body, as it stands in an error, is about. */
export function fieldNamed(name) {
  const last = String(name).split(".").at(-1);
  if (last === "denoising_strength" && field("mode") === "text") return "hr_denoising_strength";
  return FIELDS[last] ?? last;
}

/** Whether a field is on the page, so that what is said of it has a place. */
export const hasPlace = (name) => !!name && !!document.querySelector(`[data-says~="${CSS.escape(name)}"]`);
