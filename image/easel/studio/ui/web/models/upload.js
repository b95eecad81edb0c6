// Files from this device into the store, by tus (https://tus.io): piece by piece, one after the other, gone on with
// after a cut line, a closed tab or a sleeping endpoint.
import { at, remarkIn } from "../api.js";
import { wordsOf } from "../remarks.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { load, size } from "./library.js";

const TUS = { "Tus-Resumable": "1.0.0" };
const LEAST = 65536;
/** Bytes that are sent at once; smaller where the door takes less. Tests make it small. */
export const piece = { bytes: 8 * 1024 * 1024 };

const cuts = new Map();
let last = 0, queue = Promise.resolve();

/** Send these files. What becomes of each stands in the store's `uploads`. */
export function upload(files) {
  for (const file of [...files]) {
    const id = ++last;
    const row = { id, name: file.name, size: file.size, part: 0, words: t("models.upload.waits"), state: "going", file };
    store.set("uploads", [row, ...(store.get("uploads") ?? [])]);
    queue = queue.then(() => one(file, id));
  }
}

/** Send again what was refused or cut. */
export function resend(row) {
  forget(row);
  upload([row.file]);
}

/** Stop one, here and there. */
export function stop(row) {
  const note = noteOf(row.file), address = localStorage.getItem(note);
  change(row.id, { state: "stopped", words: t("models.upload.stopped") });
  cuts.get(row.id)?.abort();
  if (address) fetch(at(address), { method: "DELETE", headers: TUS }).catch(() => {});
  localStorage.removeItem(note);
}

/** Take its line off the list. */
export const forget = (row) => store.set("uploads", (store.get("uploads") ?? []).filter((each) => each.id !== row.id));

const rows = () => store.get("uploads") ?? [];
const change = (id, now) => store.set("uploads", rows().map((row) => (row.id === id ? { ...row, ...now } : row)));
const stopped = (id) => rows().find((row) => row.id === id)?.state !== "going";
// The file as it is now: another state of it is another upload.
const noteOf = (file) => `easel-upload:${file.name}:${file.size}:${file.lastModified}`;

async function one(file, id) {
  if (stopped(id)) return;
  cuts.set(id, new AbortController());
  try {
    const told = await send(file, id);
    if (told) change(id, { state: "done", part: 1, words: t("models.upload.done", { path: told.path }), path: told.path });
    await load();
  } catch (error) {
    if (!stopped(id)) change(id, { state: "failed", words: error.message });
  } finally {
    cuts.delete(id);
  }
}

async function send(file, id) {
  const note = noteOf(file);
  let address = localStorage.getItem(note);
  let offset = address ? await stands(address, id) : null;
  if (offset === null) {
    address = await begin(file, id);
    localStorage.setItem(note, address);
    offset = 0;
  }
  const over = (words) => { localStorage.removeItem(note); throw new Error(words); };
  let bytes = piece.bytes;
  const began = performance.now(), from = offset;
  while (offset < file.size) {
    if (stopped(id)) return null;
    const block = file.slice(offset, offset + bytes);
    const answer = await ask("PATCH", address, id, {
      "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(offset), ...(await checksum(block)),
    }, block, [204, 400, 404, 408, 409, 410, 413, 422, 460]);
    if (!answer) return null;
    const stand = answer.headers.get("Upload-Offset");
    // A door that takes less at once says 413, or cuts the line so early that only a bare 400 arrives.
    if (answer.status === 413 || answer.status === 400) {
      if (bytes <= LEAST) throw new Error(await saying(answer));
      bytes = Math.max(LEAST, bytes / 2);
    } else if ([404, 410, 422].includes(answer.status) || (answer.status === 409 && !stand)) over(await saying(answer));
    offset = answer.status === 204 || answer.status === 409 ? Number(stand) : await stands(address, id);
    if (offset === null) over(t("models.upload.gone"));
    const speed = (1000 * (offset - from)) / Math.max(1, performance.now() - began);
    change(id, { part: offset / file.size, words: t("models.upload.sent", { done: size(offset), total: size(file.size), speed: size(speed) }) });
  }
  change(id, { part: 1, words: t("models.upload.checked") });
  await stands(address, id);
  const told = await (await ask("GET", address, id)).json();
  localStorage.removeItem(note);
  if (told.state !== "done") throw new Error(told.detail || t("models.upload.refused", { status: "" }));
  return told;
}

async function begin(file, id) {
  const name = btoa(String.fromCharCode(...new TextEncoder().encode(file.name)));
  const answer = await ask("POST", "files/uploads", id, { "Upload-Length": String(file.size), "Upload-Metadata": `filename ${name}` });
  // The studio does not know below which path people see it: only the upload's name counts.
  return `files/uploads/${answer.headers.get("Location").split("/").pop()}`;
}

/** How far the server has it; null for an upload that is no more. */
async function stands(address, id) {
  const answer = await ask("HEAD", address, id, {}, undefined, [200, 404, 409, 410, 422]);
  return answer?.status === 200 ? Number(answer.headers.get("Upload-Offset")) : null;
}

/** Only where the browser lets a page compute one: by https, or on this machine. */
async function checksum(block) {
  if (!crypto.subtle) return {};
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await block.arrayBuffer()));
  return { "Upload-Checksum": `sha256 ${btoa(String.fromCharCode(...digest))}` };
}

/** Asks again while nobody answers: the line is cut, or the endpoint wakes. Null once it was stopped. */
async function ask(method, address, id, headers = {}, body = undefined, expected = []) {
  for (let pause = 1000, left = 200; ; left -= 1, pause = Math.min(pause * 1.5, 10_000)) {
    let answer = null;
    try {
      const { signal } = cuts.get(id);
      answer = await fetch(at(address), { method, headers: { ...TUS, ...headers }, body, signal, cache: "no-store" });
    } catch {
      if (stopped(id)) return null;
      if (!left) throw new Error(t("models.upload.no-answer"));
    }
    if (answer && (answer.ok || expected.includes(answer.status))) return answer;
    const passing = answer && ([423, 429, 502, 503, 504].includes(answer.status) || (method === "HEAD" && answer.status === 400));
    if (answer && (!left || !passing)) throw new Error(await saying(answer));
    if (stopped(id)) return null;
    change(id, { words: answer ? await saying(answer) : t("models.upload.cut") });
    await new Promise((done) => setTimeout(done, pause));
    // Where it stands now, the server knows; the caller asks.
    if (method === "PATCH") return new Response(null, { status: 408 });
  }
}

async function saying(answer) {
  const fallback = t("models.upload.refused", { status: answer.status });
  try { return wordsOf({ ...remarkIn(answer), text: (await answer.json()).detail }) || fallback; } catch { return fallback; }
}
