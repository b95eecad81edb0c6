// The axes of A1111's X/Y/Z plot, by its names and in its order: api/scripts/plot_axes.py.
import { store } from "../store.js";

const choices = (name, of) => () => (store.get("session")?.choices?.[name] ?? []).map(of);
const checkpoints = () => (store.get("session")?.checkpoints ?? []).map((one) => one.name);
const TRUTH = () => ["True", "False"];

/**
 * What there is to vary. `kind`: whole, number, or words; `tab`: only over text, or only over a picture; `offers`: what one can choose from.
 * @type {{label: string, kind: string, tab?: "txt2img"|"img2img", offers?: () => string[]}[]}
 */
export const AXES = [
  { label: "Nothing", kind: "words" },
  { label: "Seed", kind: "whole" },
  { label: "Var. seed", kind: "whole" },
  { label: "Var. strength", kind: "number" },
  { label: "Steps", kind: "whole" },
  { label: "Hires steps", kind: "whole", tab: "txt2img" },
  { label: "CFG Scale", kind: "number" },
  { label: "Prompt S/R", kind: "words" },
  { label: "Prompt order", kind: "words" },
  { label: "Sampler", kind: "words", offers: choices("samplers", (one) => one.name) },
  { label: "Checkpoint name", kind: "words", offers: checkpoints },
  { label: "Negative Guidance minimum sigma", kind: "number" },
  { label: "Sigma Churn", kind: "number" },
  { label: "Sigma min", kind: "number" },
  { label: "Sigma max", kind: "number" },
  { label: "Sigma noise", kind: "number" },
  { label: "Schedule type", kind: "words", offers: choices("schedulers", (one) => one.label) },
  { label: "Schedule min sigma", kind: "number" },
  { label: "Schedule max sigma", kind: "number" },
  { label: "Schedule rho", kind: "number" },
  { label: "Skip Early CFG", kind: "number" },
  { label: "Eta", kind: "number" },
  { label: "Clip skip", kind: "whole" },
  { label: "Denoising", kind: "number" },
  { label: "Initial noise multiplier", kind: "number" },
  { label: "Extra noise", kind: "number" },
  { label: "Hires upscaler", kind: "words", tab: "txt2img", offers: () => [...choices("latent_upscalers", (one) => one)(), ...choices("upscalers", (one) => one.name)()] },
  { label: "VAE", kind: "words", offers: () => ["Automatic", "None", ...(store.get("session")?.vaes ?? [])] },
  { label: "Styles", kind: "words", offers: () => store.get("style_names") ?? [] },
  { label: "Always discard next-to-last sigma", kind: "words", offers: TRUTH },
  { label: "SGM noise multiplier", kind: "words", offers: TRUTH },
  { label: "Refiner checkpoint", kind: "words", offers: checkpoints },
  { label: "Refiner switch at", kind: "number" },
  { label: "Size", kind: "words", offers: () => (store.get("session")?.checkpoint?.shapes ?? []).map((one) => `${one.width}x${one.height}`) },
];

export const axesOf = (tab) => AXES.filter((one) => !one.tab || one.tab === tab);
export const axisOf = (label) => AXES.find((one) => one.label === label) ?? AXES[0];

/** The pieces between commas; what is in double quotes may have commas itself. */
export function pieces(text) {
  const found = [...text.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,\n]*))\s*(?:,|\n|$)/g)];
  return found.map(([, quoted, plain]) => (quoted === undefined ? plain.trim() : quoted.replaceAll('""', '"'))).filter(Boolean);
}

/** As one writes it, so that it is one piece. */
export const written = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

const NUMBER = "([+-]?\\s*\\d+(?:\\.\\d*)?)";
/** "1-5", "1-9 (+2)", "1-10 [5]" */
const RANGE = new RegExp(`^\\s*${NUMBER}\\s*-\\s*${NUMBER}(?:\\s*\\(([+-]\\d+(?:\\.\\d*)?)\\s*\\)|\\s*\\[(\\d+)\\s*\\])?\\s*$`);

/** As many as the studio goes through on one axis. */
const MOST_VALUES = 1000;

/** The numbers that a piece stands for; [NaN] where it is none. @returns {number[]} */
function numbersIn(piece, whole) {
  const range = piece.match(RANGE);
  if (!range) return [(whole ? /^[+-]?\d+$/.test(piece) : Number.isFinite(Number(piece))) ? Number(piece) : NaN];
  const [begin, end] = [1, 2].map((group) => Number(range[group].replaceAll(" ", ""))), by = Number(range[3] ?? 1), step = whole ? Math.trunc(by) : by;
  const spread = Number(range[4]), count = range[4] ? spread : step ? Math.floor((end - begin) / step + 1e-9) + 1 : NaN;
  if (Number.isNaN(count)) return [NaN];
  const each = range[4] ? (end - begin) / Math.max(1, spread - 1) : step;
  return Array.from({ length: Math.min(Math.max(0, count), MOST_VALUES) }, (_, place) => begin + place * each);
}

/** The numbers on an axis of numbers. */
export const numbersOn = (axis, text) => pieces(text).flatMap((piece) => numbersIn(piece, axis.kind === "whole"));

/** How many values an axis goes through; 0 where there are none, NaN where one of them cannot be. */
export function valuesOn(axis, text) {
  if (axis.label === "Nothing") return 1;
  const found = pieces(text);
  if (axis.label === "Prompt order") return found.reduce((all, _, place) => all * (place + 1), found.length ? 1 : 0);
  if (axis.kind === "words") return found.length;
  const numbers = numbersOn(axis, text);
  return numbers.some(Number.isNaN) ? NaN : numbers.length;
}
