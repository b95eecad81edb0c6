// The one place where fields become A1111's request, and back.
import { store } from "../store.js";
import { chosenEncoders } from "./encoders.js";
import { checkpoint, field, shapes, takes } from "./fields.js";

const NUMBERS = ["steps", "cfg_scale", "width", "height", "seed", "batch_size", "n_iter"];

/**
 * Parts of a request beside what all have, in order: a part takes the name of the mode and the values of all fields,
 * and returns what it adds to the body. `alwayson_scripts` and `override_settings` of several are put together.
 * @type {((mode: string) => object|Promise<object>)[]}
 */
export const PARTS = [kept, variation, hires, refiner, faces, controls, references, overrides];

/** A1111's body for a mode that draws. Other modes add to it what they alone have: `init_images`, `mask`, … */
export async function drawing(fields, mode) {
  const body = { prompt: field("prompt"), negative_prompt: field("negative_prompt"), styles: field("styles") };
  for (const name of NUMBERS) body[name] = field(name);
  if (field("sampler_name")) body.sampler_name = field("sampler_name");
  body.scheduler = field("scheduler");
  if (field("distilled_cfg_scale") !== undefined) body.distilled_cfg_scale = field("distilled_cfg_scale");
  if (field("tiling") && takes("tiling")) body.tiling = true;
  if (field("cache") && takes("cache")) body.cache = field("cache");
  for (const part of PARTS) {
    const { alwayson_scripts, override_settings, ...rest } = await part(mode);
    Object.assign(body, rest);
    if (alwayson_scripts) body.alwayson_scripts = { ...body.alwayson_scripts, ...alwayson_scripts };
    if (override_settings) body.override_settings = { ...body.override_settings, ...override_settings };
  }
  return body;
}

/** What a text or picture said that no field here has: it counts until it is taken out. */
function kept(mode) {
  const { override_settings = {}, ...rest } = field("kept");
  const said = Object.entries(rest).filter(([name]) => !name.startsWith("hr_") || mode === "text" && field("enable_hr"));
  return { ...Object.fromEntries(said), override_settings };
}

function variation() {
  return field("subseed_strength") > 0 ? { subseed: field("subseed"), subseed_strength: field("subseed_strength") } : {};
}

function hires(mode) {
  if (mode !== "text" || !field("enable_hr")) return {};
  return {
    enable_hr: true, hr_scale: field("hr_scale"), hr_upscaler: field("hr_upscaler"),
    hr_second_pass_steps: field("hr_second_pass_steps"), denoising_strength: field("hr_denoising_strength"),
  };
}

function refiner() {
  const name = field("refiner_checkpoint");
  return name && takes("refiner") ? { refiner_checkpoint: name, refiner_switch_at: field("refiner_switch_at") } : {};
}

/** Of an infotext with more about faces, the rest is sent as it was said there. */
function faces() {
  const restored = field("restore_faces") ? { restore_faces: true } : {};
  if (!field("detail_faces")) return restored;
  const [first, ...more] = field("detail_units");
  const unit = { ad_model: "RetinaFace", ...first, ad_prompt: field("detail_prompt"), ad_denoising_strength: field("detail_strength") };
  return { ...restored, alwayson_scripts: { ADetailer: { args: [unit, ...more] } } };
}

async function controls() {
  const units = (field("controlnet_units") ?? []).filter((one) => one.enabled);
  if (!units.length || !takes("controlnet")) return {};
  const { sent } = await import("../editor/control-units.js");
  return { alwayson_scripts: { controlnet: { args: await sent(units) } } };
}

/** Pictures that a checkpoint which edits looks at. */
async function references() {
  const some = field("reference_images");
  if (!some.length || !checkpoint()?.references) return {};
  const { dataOf } = await import("../editor/sources.js");
  return { reference_images: await Promise.all(some.map(dataOf)) };
}

/** What A1111 keeps among its options. The checkpoint is said with each job: it may be another when its turn comes. */
function overrides() {
  const said = {};
  if (checkpoint()) said.sd_model_checkpoint = checkpoint().name;
  if (field("vae") !== "Automatic") said.sd_vae = field("vae");
  const encoders = chosenEncoders();
  if (encoders.length) said.forge_additional_modules = encoders;
  if (checkpoint()?.takes_clip_skip && field("clip_skip") > 1) said.CLIP_stop_at_last_layers = field("clip_skip");
  return { override_settings: said };
}

/** Fields of a request that no field of the page has, and that a text may say. */
const KEPT = [
  "hr_sampler_name", "hr_scheduler", "hr_prompt", "hr_negative_prompt", "hr_cfg", "hr_checkpoint_name", "hr_additional_modules", "hr_resize_x", "hr_resize_y",
  "seed_resize_from_w", "seed_resize_from_h", "eta", "s_churn", "s_tmin", "s_tmax", "s_noise", "s_min_uncond",
];

const TAKEN = [
  "prompt", "negative_prompt", "steps", "cfg_scale", "distilled_cfg_scale", "width", "height", "seed", "batch_size", "n_iter", "sampler_name",
  "scheduler", "styles", "tiling", "cache", "subseed", "subseed_strength", "enable_hr", "hr_scale", "hr_upscaler",
  "hr_second_pass_steps", "refiner_checkpoint", "refiner_switch_at", "denoising_strength", "restore_faces",
];

/**
 * The fields that a request asks for: those that it leaves out are `undefined`, as if nobody had touched them.
 * @param {object} request A1111's body
 * @returns {{fields: object, checkpoint: string|null}} the checkpoint that it names
 */
export function fieldsOf(request) {
  const fields = Object.fromEntries(TAKEN.map((name) => [name, request[name] ?? undefined]));
  const { sd_model_checkpoint = null, sd_vae, forge_additional_modules, CLIP_stop_at_last_layers, ...options } = request.override_settings ?? {};
  const more = Object.fromEntries(KEPT.filter((name) => (request[name] ?? "") !== "").map((name) => [name, request[name]]));
  if (Object.keys(options).length) more.override_settings = options;
  fields.kept = Object.keys(more).length ? more : undefined;
  // How many is no part of a picture.
  for (const name of ["n_iter", "batch_size"]) if (fields[name] === undefined) delete fields[name];
  if (request.enable_hr) {
    fields.hr_denoising_strength = fields.denoising_strength;
    fields.denoising_strength = undefined;
  }
  const units = (request.alwayson_scripts?.ADetailer?.args ?? []).filter((one) => one?.ad_model);
  Object.assign(fields, {
    detail_units: units.length ? units : undefined, detail_faces: units.length ? true : undefined,
    detail_prompt: units[0]?.ad_prompt, detail_strength: units[0]?.ad_denoising_strength,
  });
  // Forge names a VAE among them.
  const modules = forge_additional_modules ?? [], vaes = store.get("session")?.vaes ?? [];
  fields.vae = sd_vae ?? modules.find((name) => vaes.includes(name));
  const encoders = modules.filter((name) => !vaes.includes(name));
  fields.modules = encoders.length ? encoders : undefined;
  fields.clip_skip = CLIP_stop_at_last_layers ?? undefined;
  const shape = shapes().find((one) => one.width === fields.width && one.height === fields.height);
  if (shape) Object.assign(fields, { shape: shape.name, width: undefined, height: undefined });
  return { fields, checkpoint: sd_model_checkpoint };
}
