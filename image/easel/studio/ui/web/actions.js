// What a person does that more than one element lets them do.
import { del, get, isAway, post } from "./api.js";
import { fieldsOf } from "./create/body.js";
import { checkpoint, examples, faultsOf, field, fieldNamed, hasPlace, sayOf, sayRemark, setField, setFields } from "./create/fields.js";
import { loadMode } from "./create/modes.js";
import { follow, openTickets, showTicket } from "./create/shown.js";
import { keepTicket, lookAgain } from "./events.js";
import { tell } from "./notices.js";
import { wordsOf } from "./remarks.js";
import { store } from "./store.js";
import { t } from "./texts.js";
import { takeTyped } from "./typed.js";

/** Draw with another checkpoint from now on. Raises ApiError. */
export async function choose(name) {
  const { checkpoint: before, checkpoints } = store.get("session");
  // At once: who chooses and presses Generate means the new one.
  store.patch("session", { checkpoint: checkpoints.find((one) => one.name === name) ?? before });
  try {
    store.patch("session", { checkpoint: await post("studio/checkpoint", { name }) });
  } catch (error) {
    store.patch("session", { checkpoint: before });
    throw error;
  }
}

/** Open a place: `create`, `gallery`, `models`. */
export function openPlace(name) {
  location.hash = name;
}

/** Requests go one behind the other, so that tickets stand in the order of the presses. */
let sent = Promise.resolve();

/** Ask for what the fields say: a ticket more. What is wrong is said beside its field, and that gets the focus. */
export async function generate() {
  takeTyped();
  if (!field("prompt").trim() && field("mode") === "text") {
    setField("prompt", examples()[0]);
  }
  const mode = await loadMode(field("mode"));
  const wrong = { ...faults(mode), ...mode.faults?.(store.get("fields")) };
  for (const [name, words] of Object.entries(wrong)) sayOf(name, words, true);
  if (Object.keys(wrong).length) return reveal(Object.keys(wrong)[0]);
  if (mode.act) return mode.act();
  remember();
  let asked;
  try {
    asked = [await mode.ask(store.get("fields"))].flat();
  } catch (error) {
    return refused(error);
  }
  for (const { route, body } of asked) if (!await send(route, body)) return;
}

/** Send a request to draw. @returns {Promise<object|null>} its ticket */
export function send(route, body) {
  store.set("sending", (store.get("sending") ?? 0) + 1);
  sent = sent.then(async () => {
    try {
      const ticket = await post(route, body, { headers: { Prefer: "respond-async" } });
      const kept = keepTicket(ticket);
      if (kept.state === "failed") showTicket(kept);
      else follow();
      sayOf("generate", "");
      for (const one of ticket.remarks ?? []) sayRemark(one);
      return ticket;
    } catch (error) {
      await refused(error);
      return null;
    } finally {
      store.set("sending", store.get("sending") - 1);
    }
  });
  return sent;
}

/** Numbers of the common form, by the part that shows them. */
const NUMBERS = {
  size: ["width", "height"], count: ["n_iter"], seed: ["seed"],
  advanced: ["steps", "cfg_scale", "distilled_cfg_scale", "clip_skip", "batch_size", "subseed_strength"],
};
const HIRES = ["hr_scale", "hr_denoising_strength", "hr_second_pass_steps"];

function faults({ shares }) {
  const shown = shares.flatMap((part) => NUMBERS[part] ?? []), advanced = shares.includes("advanced");
  return faultsOf([
    ...shown, ...(advanced && field("enable_hr") ? HIRES : []), ...(advanced && field("refiner_checkpoint") ? ["refiner_switch_at"] : []),
    ...(advanced && field("detail_faces") ? ["detail_strength"] : []),
  ]);
}

/** Say what was refused beside the field that it is about, or over Generate where it is about none. */
async function refused(error) {
  // Then the page says so across, with the way back in.
  if (isAway(error)) lookAgain();
  const about = error.field && fieldNamed(error.field);
  if (about && !hasPlace(about)) await document.querySelector("easel-advanced")?.load();
  const name = hasPlace(about) ? about : "generate";
  sayOf(name, error.words, true);
  if (name !== "generate") await reveal(name);
}

/** Bring a field into view, open what folds it away, and give it the focus. */
async function reveal(name) {
  if (!hasPlace(name)) await document.querySelector("easel-advanced")?.load();
  const place = document.querySelector(`[data-says~="${CSS.escape(name)}"]`);
  const input = document.getElementById(`field-${name}`) ?? document.getElementById(name) ?? place?.querySelector("button, input");
  for (let fold = input?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  input?.focus();
}

const REMEMBERED = 50;

function remember() {
  const prompt = field("prompt").trim();
  if (prompt) store.set("history", [prompt, ...store.get("history").filter((one) => one !== prompt)].slice(0, REMEMBERED));
}

/** Ask again for what a ticket asked, where that says all: pictures are not in it. */
export const again = (ticket) => send("sdapi/v1/txt2img", ticket.request);

/** Cancel a ticket; what it has drawn so far is kept. */
export async function cancel(id) {
  try {
    const ticket = await del(`jobs/${id}?keep=true`);
    if (ticket?.id) keepTicket(ticket);
  } catch (error) {
    if (error.status !== 404) tell(error.words, { bad: true });
  }
}

/** Cancel all own ones, the last first: each would begin while the one before it ends. What is half drawn is kept. */
export async function cancelAll() {
  for (const one of openTickets().reverse()) await cancel(one.id);
}

/** Put a waiting ticket before another own one, or behind all with `null`. */
export async function move(id, before) {
  try {
    const answer = await post(`jobs/${id}/move`, { before });
    for (const ticket of answer?.jobs ?? [answer]) if (ticket?.id) keepTicket(ticket);
  } catch (error) {
    tell(error.words, { bad: true });
  }
}

/**
 * Fill the fields from a request, as a picture's parameters give it.
 * @param {object} request A1111's body
 * @param {import("./create/fields.js").Remark[]} remarks what could not be taken
 */
export async function use(request, remarks = []) {
  const { fields, checkpoint: named } = fieldsOf(request);
  setFields({ ...fields, mode: "text" });
  openPlace("create");
  const placeless = remarks.filter((one) => !sayRemark(one));
  if (placeless.length) tell(placeless.map(wordsOf).join("\n"));
  if (!named || named === checkpoint()?.name) return;
  try {
    await choose(named);
  } catch {
    tell(t("create.use.no-checkpoint", { name: named }), { bad: true });
  }
}

/** Fill the fields from a text with settings, as A1111 writes it. */
export async function useText(text) {
  try {
    const { request, remarks } = await post("studio/parameters", { text });
    await use(request, remarks);
  } catch (error) {
    tell(error.words ?? String(error), { bad: true });
  }
}

/** The request that a picture was drawn with. @returns {Promise<{text: string, request: object, remarks: object[]}>} */
export const parametersOf = (picture) => get(`studio/gallery/parameters/${picture.id}`);

/** Take a picture into a mode: as the source that it works on. */
export async function sendTo(mode, picture) {
  const { setSource, sourceOfPicture } = await import("./editor/sources.js");
  setSource(sourceOfPicture(picture));
  setField("mode", mode);
  store.set("preparing", true);
  openPlace("create");
}
