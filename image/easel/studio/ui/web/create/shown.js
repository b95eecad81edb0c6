// What the stage shows: a picture that was chosen, else what happens now, else the newest picture.
import { store } from "../store.js";

const ACTIVE = new Set(["loading", "drawing", "saving"]), WAITING = new Set(["queued"]);
export const isActive = (ticket) => ACTIVE.has(ticket.state);
export const isOpen = (ticket) => isActive(ticket) || WAITING.has(ticket.state);

/** Own tickets that are not ended: the one in work first, then by their place. */
export const openTickets = () => store.get("tickets").filter(isOpen)
  .sort((one, other) => isActive(other) - isActive(one) || (one.place ?? 0) - (other.place ?? 0));

/** The ticket that the stage follows, unless a picture was chosen. */
export function shownTicket() {
  if (store.get("shown")) return null;
  return openTickets()[0] ?? null;
}

/** The picture on the stage, or the one that would be there if nothing were being drawn. */
export function shownPicture() {
  const pictures = store.get("pictures"), shown = store.get("shown");
  return pictures.find((one) => one.id === shown) ?? pictures[0] ?? null;
}

/** Show a picture, or follow what is drawn with `null`. */
export const show = (id) => store.set("shown", id);

/** The picture `by` places further in the filmstrip. */
export function step(by) {
  const pictures = store.get("pictures");
  const now = pictures.findIndex((one) => one.id === store.get("shown"));
  const next = pictures[Math.max(0, Math.min(pictures.length - 1, (now < 0 ? (shownTicket() ? -1 : 0) : now) + by))];
  if (next) show(next.id);
}
