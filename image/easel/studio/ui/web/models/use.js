// A model into what is drawn next: a LoRA and its words into the prompt, a checkpoint or VAE into the choice.
import { choose, openPlace } from "../actions.js";
import { wordsOf } from "../remarks.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { tell } from "../notices.js";

const USABLE = new Set(["checkpoint", "lora", "embedding", "vae", "upscaler"]);
const plain = (words) => words.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** A name that stands in a tag, which `<`, `>` and `:` would end. */
const nameable = (model) => model.kind !== "lora" || !/[<>:\n]/.test(model.use);

/** Whether there is anything to be done with it in a click. @param {import("./library.js").Model} model */
export const usable = (model) => USABLE.has(model.kind) && model.fits && !model.problem && nameable(model);

/** Why it is grey; "" where it is not. */
export function why(model) {
  if (model.problem) return wordsOf(model.remark);
  if (!nameable(model)) return t("models.unnameable");
  if (model.fits) return "";
  const chosen = store.get("library")?.models.find((one) => one.kind === "checkpoint" && one.in_use);
  return t("models.misfit", {
    made_for: model.family_label || model.base_model || t("models.misfit.other"),
    checkpoint: chosen?.family_label || chosen?.label || "",
  });
}

/** Whether it is drawn with as things stand. `fields` are those of Create. */
export function used(model, fields) {
  const field = (name) => String(fields[name] ?? "");
  if (model.kind === "lora") return tag(model).test(field("prompt"));
  if (model.kind === "embedding") return word(model.use).test(field("prompt")) || word(model.use).test(field("negative_prompt"));
  if (model.kind === "vae") return fields.vae === model.use;
  if (model.kind === "upscaler") return Boolean(fields.enable_hr) && fields.hr_upscaler === model.use;
  return model.in_use;
}

/** Use it, and go to where it shows, if not asked to `stay`. `negative` puts an embedding into the negative prompt. */
export async function use(model, { negative = false, stay = false } = {}) {
  // At once: a choice takes its time to be kept, and who has gone elsewhere meanwhile stays there.
  if (!stay) openPlace("create");
  if (model.kind === "checkpoint") {
    try { await choose(model.name); } catch (error) { return tell(error.words, { bad: true }); }
  } else if (model.kind === "lora") {
    if (!used(model, store.get("fields"))) {
      put("prompt", `<lora:${model.use}:${model.weight || 1}>`, " ");
      for (const words of pieces(model.words || model.trained_words[0] || "")) put("prompt", words);
      for (const words of pieces(model.negative_words)) put("negative_prompt", words);
    }
  } else if (model.kind === "embedding") {
    put(negative ? "negative_prompt" : "prompt", model.use);
  } else if (model.kind === "vae") {
    store.patch("fields", { vae: model.use });
  } else if (model.kind === "upscaler") {
    store.patch("fields", { enable_hr: true, hr_upscaler: model.use });
  }
}

/** Take it out again, whatever weight it has got meanwhile. */
export function leave(model) {
  const taken = { lora: ["prompt"], embedding: ["prompt", "negative_prompt"] }[model.kind] ?? [];
  for (const name of taken) take(name, model.kind === "lora" ? tag(model) : word(model.use));
  if (model.kind === "vae") store.patch("fields", { vae: "Automatic" });
  if (model.kind === "upscaler") store.patch("fields", { enable_hr: false });
}

/** A trained word into the prompt, or out of it where it stands there. */
export function toggleWord(words) {
  if (hasWord(words)) take("prompt", word(words));
  else put("prompt", words);
}

export const hasWord = (words) => word(words).test(store.get("fields").prompt ?? "");

const pieces = (words) => words.split(",").map((one) => one.trim()).filter(Boolean);
// By the names that it had before, too: the studio finds it by them.
const tag = (model) => new RegExp(`<lora:(?:${called(model).map(plain).join("|")})(:[^<>]*)?>`, "i");
const called = ({ use, formerly }) => {
  const before = formerly.map((one) => one.replace(/\.(safetensors|gguf)$/i, ""));
  return [use, ...before, ...before.map((one) => one.split("/").pop())];
};
// As a word of its own, and not within a tag: a LoRA may be called as one of its words.
const word = (words) => new RegExp(`(?<![\\p{L}\\p{N}_])${plain(words)}(?![\\p{L}\\p{N}_])(?![^<]*>)`, "iu");

function put(name, words, between = ", ") {
  const before = String(store.get("fields")[name] ?? "").trimEnd();
  if (!words.startsWith("<") && word(words).test(before)) return;
  store.patch("fields", { [name]: `${before}${before ? between : ""}${words}` });
}

function take(name, pattern) {
  const before = String(store.get("fields")[name] ?? "");
  // With the comma that stood before it, or behind it at the beginning.
  const after = before.replace(new RegExp(`\\s*,?\\s*${pattern.source}`, pattern.flags), "");
  store.patch("fields", { [name]: after.replace(/^\s*,\s*/, "") });
}
