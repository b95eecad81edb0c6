// How long pictures take here: learnt from tickets while they are drawn.
import { store } from "../store.js";

/** Below this share the studio's own guess has seen too little. */
const ENOUGH = 0.15, MILLION = 1e6;
let seconds = null;

store.on("tickets", (tickets) => {
  for (const one of tickets) {
    // A script's tickets are of many kinds of pictures, and their steps are those of one.
    if (one.state !== "drawing" || one.request?.script_name || one.eta == null || one.fraction < ENOUGH || one.fraction > 1 - ENOUGH) continue;
    const work = one.width * one.height * one.steps * one.pictures * (1 - one.fraction) / MILLION;
    if (work > 0) seconds = one.eta / work;
  }
});

/** Seconds for so many pictures of a size, or null while nothing is known. */
export const secondsFor = (pictures, width, height, steps) => (seconds == null ? null : seconds * pictures * width * height * steps / MILLION);
