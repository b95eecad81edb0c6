// The stage on the whole screen.
import { store } from "../store.js";

/** There, and back. A phone that has no full screen for elements gets the whole window. */
export async function fullScreen() {
  const on = !store.get("full");
  store.set("full", on);
  try {
    if (on) await document.querySelector(".stage").requestFullscreen?.();
    else if (document.fullscreenElement) await document.exitFullscreen();
  } catch { /* refused: the whole window is what there is */ }
}

// The browser's own ways out: Escape, a gesture.
document.addEventListener("fullscreenchange", () => { if (!document.fullscreenElement) store.set("full", false); });
