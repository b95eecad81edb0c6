// Drawn here and not fetched: lines that take the colour of the text.
import { svg } from "../vendor/lit.js";

const icon = (lines) => svg`<svg class="drawn" viewBox="0 0 24 24" width="20" height="20" fill="none" stroke="currentColor" stroke-width="1.8"
  stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${lines}</svg>`;
const path = (d) => icon(svg`<path d=${d}/>`);

export const DICE = path("M6 3h12a3 3 0 0 1 3 3v12a3 3 0 0 1-3 3H6a3 3 0 0 1-3-3V6a3 3 0 0 1 3-3ZM8 8h.01M16 8h.01M12 12h.01M8 16h.01M16 16h.01");
export const KEEP = path("M4 12a8 8 0 0 1 13.7-5.6L20 8.5M20 3v5.5h-5.5M20 12a8 8 0 0 1-13.7 5.6L4 15.5M4 21v-5.5h5.5");
export const VARY = path("M12 3v4M12 17v4M3 12h4M17 12h4M6 6l2.5 2.5M15.5 15.5 18 18M18 6l-2.5 2.5M8.5 15.5 6 18");
export const UPSCALE = path("M14 4h6v6M20 4l-7 7M10 20H4v-6M4 20l7-7");
export const EDIT = path("M4 20h4L19 9l-4-4L4 16v4ZM13 7l4 4");
export const INPAINT = path("M9.5 14.5C8 14 5 15 4.5 18c-.2 1.2-1 2-1.5 2 4 1.5 8 .5 8-3 0-1-.5-2-1.5-2.5ZM10 14 19.5 4.5a1.4 1.4 0 0 1 2 2L12 16");
export const REUSE = path("M9 6 4 11l5 5M4 11h10a6 6 0 0 1 6 6v1");
export const COMPARE = path("M12 3v18M4 6h5v12H4zM15 6h5v12h-5");
export const STAR = path("m12 3.5 2.6 5.4 5.900.8-4.300 4.100 1 5.900L12 16.900l-5.2 2.800 1-5.900L3.5 9.7l5.900-.8L12 3.5Z");
export const SHARE = path("M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.300l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1-1");
export const DOWNLOAD = path("M12 4v11M7 11l5 5 5-5M4 20h16");
export const DELETE = path("M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5");
export const FULL = path("M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5");
export const CLOSE = path("M6 6l12 12M18 6 6 18");
export const EARLIER = path("M14 6l-6 6 6 6");
export const LATER = path("M10 6l6 6-6 6");

export const INFO = path("M12 11v6M12 7.5h.01M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Z");

/** One for each mode, by its name. */
export const MODE_ICONS = {
  text: path("M5 6V4h14v2M12 4v16M9 20h6"),
  image: path("M4 5h16v14H4zM4 16l5-5 4 4 2-2 5 5M15.5 9h.01"),
  sketch: EDIT,
  inpaint: INPAINT,
  outpaint: path("M8 8h8v8H8zM4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4"),
  upscale: UPSCALE,
  xyz: path("M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h6v6h-6z"),
  batch: path("M4 8h12v12H4zM8 8V4h12v12h-4"),
  read: INFO,
};
