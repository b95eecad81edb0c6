// Asking the studio. Addresses are relative: the page works below any path.
import { wordsOf } from "./remarks.js";
import { t } from "./texts.js";

/** What the studio, or the door before it, refused; `words` are for people. */
export class ApiError extends Error {
  /** @param {{status: number, words: string, field?: string, kind?: string, retryAfter?: number}} said */
  constructor(said) {
    super(said.words);
    Object.assign(this, said);
  }
}

/** Below this path the page stands; `""` where scripts are served elsewhere (tests). */
const root = new URL(".", location.href);

/** An address of the studio as an absolute one. */
export const at = (path) => new URL(path, root).href;

/** Ask by any method; `body` is sent as JSON, or as it is where it is a form or a file. Raises ApiError. */
export async function ask(method, path, body, { headers = {}, signal } = {}) {
  const json = body !== undefined && !(body instanceof FormData) && !(body instanceof Blob);
  let answer;
  try {
    answer = await fetch(at(path), {
      method, signal,
      headers: { Accept: "application/json", ...(json ? { "Content-Type": "application/json" } : {}), ...headers },
      body: json ? JSON.stringify(body) : body,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({ status: 0, kind: "unreachable", words: t("error.unreachable") });
  }
  const said = await answer.text();
  let found = null;
  try { found = said ? JSON.parse(said) : null; } catch { /* a page of somebody between us and the studio */ }
  if (!answer.ok) throw refusal(answer, found);
  return found;
}

/** What the door says of the endpoint, by the kind of its refusal. */
const DOOR = {
  signed_out: "error.signed-out", asleep: "error.asleep", starting: "connection.waking", loading: "connection.waking",
  draining: "connection.draining", failed: "connection.broken",
};

/** Whether it was the door that refused: all else of the page will be, too. @param {ApiError} error */
export const isAway = (error) => error.kind in DOOR || error.kind === "unreachable";

function refusal(answer, found) {
  const retryAfter = Number(answer.headers.get("Retry-After")) || 0;
  const kind = found?.kind ?? { 401: "signed_out", 403: "forbidden", 429: "busy", 503: found?.error ? "unavailable" : "asleep" }[answer.status];
  const known = kind in DOOR ? t(DOOR[kind]) : "";
  const words = found?.words || found?.errors || found?.detail || t("error.status", { status: answer.status });
  return new ApiError({
    status: answer.status, kind, retryAfter, field: found?.field ?? found?.detail?.[0]?.loc?.at?.(-1),
    words: known || wordsOf({ ...remarkIn(answer), text: typeof words === "string" ? words : JSON.stringify(words) }),
  });
}

/** Which sentence a refusal is, beside its English words. */
export function remarkIn(answer) {
  try {
    return JSON.parse(answer.headers.get("X-Easel-Remark")) ?? {};
  } catch {
    return {};
  }
}

export const get = (path, how) => ask("GET", path, undefined, how);
export const post = (path, body = {}, how = undefined) => ask("POST", path, body, how);
export const patch = (path, body, how) => ask("PATCH", path, body, how);
export const put = (path, body, how) => ask("PUT", path, body, how);
export const del = (path, how) => ask("DELETE", path, undefined, how);
