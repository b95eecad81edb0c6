// Asking the studio how many tokens a prompt has: once typing pauses, both prompts in one request.
import { post } from "../api.js";

const PAUSE = 300;
const typed = { prompt: "", negative_prompt: "" };
const told = new Map();
let timer = 0, asked = "";

/** Count `text`, and tell `show({count, limit, breaks})` when it is known. */
export function counted(kind, text, show) {
  typed[kind] = text;
  told.set(kind, show);
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE);
}

async function ask() {
  const now = JSON.stringify(typed);
  if (now === asked || now.length > 20_000) return;
  asked = now;
  try {
    const counts = await post("studio/tokens", typed);
    if (asked === now) for (const [kind, show] of told) show(counts[kind]);
  } catch {
    asked = ""; // a number that is missing is no reason to disturb who writes
  }
}
