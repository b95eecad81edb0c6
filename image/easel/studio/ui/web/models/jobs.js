// Downloads and other long work of the studio on models, followed while any of it is under way.
import { del, get, post } from "../api.js";
import { on } from "../events.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { tell } from "../notices.js";
import { load } from "./library.js";
import { use } from "./use.js";

const EVERY = 1000, AFTER_TROUBLE = 5000;
export const FINAL = new Set(["done", "failed", "cancelled"]);

let timer = 0, states = null;

/** Look how far all are, and go on looking while any is under way. */
export async function look() {
  clearTimeout(timer);
  // Visitors bring nothing in, and are not told of it.
  if (store.get("session")?.person.anonymous !== false) return;
  let jobs;
  try { jobs = await get("studio/models/jobs"); } catch {
    timer = setTimeout(look, AFTER_TROUBLE);
    return;
  }
  const ended = jobs.filter((one) => FINAL.has(one.state));
  const fresh = ended.filter((one) => states && states.get(one.id) !== one.state);
  states = new Map(jobs.map((one) => [one.id, one.state]));
  store.set("model-jobs", jobs);
  if (fresh.length) { await load(); fresh.forEach(say); }
  if (ended.length < jobs.length) timer = setTimeout(look, EVERY);
}

/** Begin something. @returns {Promise<object>} the job. Raises ApiError. */
export async function start(path, body) {
  const job = await post(`studio/models/${path}`, body);
  await look();
  return job;
}

/** Cancel what one asked for; what has come is kept. */
export const cancel = (job) => tried(() => del(`studio/models/jobs/${job.id}`));

/** Start anew what failed or was cancelled. */
export const again = (job) => tried(() => post(`studio/models/jobs/${job.id}/again`));

/** Follow what others begin, too. */
export function followJobs() {
  on("models", look);
  if (store.get("session")) return look();
  const off = store.on("session", () => { off(); look(); });
}

/** The model that a download brought, as the library has it. */
export function broughtBy(job) {
  const file = job.result?.file;
  return file && store.get("library")?.models.find((one) => one.kind === file.kind && one.name === file.name);
}

async function tried(work) {
  try { await work(); } catch (error) { tell(error.words, { bad: true }); }
  await look();
}

function say(job) {
  if (!job.mine || job.state !== "done") return;
  const model = broughtBy(job);
  if (job.kind === "download" && model) {
    tell(t("models.came", { name: model.label }), { action: { words: t("models.use-now"), act: () => use(model) } });
  } else if (job.kind === "updates") tell(t("models.newer.found", { n: job.result.newer.length }));
  else if (job.kind === "scan") tell(t("models.scan.found", { n: job.result.matched.length }));
}
