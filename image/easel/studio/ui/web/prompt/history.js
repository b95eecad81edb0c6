// Prompts that were drawn, newest first, as the store keeps them: Alt ↑ and ↓ walk through them.

/** The prompt that is `step` further back than `now`, `null` where there is none. @param {string[]} history */
export function recalled(history, now, step) {
  const at = history.indexOf(now.trim());
  return history[at < 0 && step < 0 ? -1 : at + step] ?? null;
}
