// What a person does that more than one element lets them do.
import { post } from "./api.js";
import { store } from "./store.js";

/** Draw with another checkpoint from now on. Raises ApiError. */
export async function choose(name) {
  const checkpoint = await post("studio/checkpoint", { name });
  store.patch("session", { checkpoint });
}

/** Open a place: `create`, `gallery`, `models`. */
export function openPlace(name) {
  location.hash = name;
}
