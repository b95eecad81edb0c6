// The mark: an easel with a picture on it.
import { svg } from "./vendor/lit.js";

/** Drawn here and not fetched: its lines take the colour of the text, dark or light. */
export const mark = (size) => svg`<svg class="mark" viewBox="0 0 44 44" width=${size} height=${size} aria-hidden="true"><path d="M11 5h22a4 4 0 0 1 4 4v16a4
  4 0 0 1-4 4H11a4 4 0 0 1-4-4V9a4 4 0 0 1 4-4ZM14 29 8 41M30 29l6 12M22 29v9" fill="none" stroke="currentColor"
  stroke-width="2.5" stroke-linecap="round"/><circle cx="17" cy="14" r="4" fill="#f2a33a"/><path fill="#5b4fe0"
  d="m10 26 9-7 5 4 6-6 5 5v3a2 2 0 0 1-2 2H12a2 2 0 0 1-2-1Z"/></svg>`;
