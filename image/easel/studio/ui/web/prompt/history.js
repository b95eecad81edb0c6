// Prompts that were drawn, newest first; kept on this device.
import { store } from "../store.js";

const MOST = 100;

/** Remember what is drawn. @param {{prompt: string, negative_prompt: string}} said */
export function remember({ prompt, negative_prompt = "" }) {
  if (!prompt.trim()) return;
  const before = store.get("history").filter((one) => one.prompt !== prompt || one.negative_prompt !== negative_prompt);
  store.set("history", [{ prompt, negative_prompt }, ...before].slice(0, MOST));
}

/** The prompt that is `step` further back than `now`, `null` where there is none. */
export function recalled(history, kind, now, step) {
  const said = [...new Set(history.map((one) => one[kind] ?? "").filter((text) => text))];
  const at = said.indexOf(now);
  return said[at < 0 && step < 0 ? -1 : at + step] ?? null;
}
