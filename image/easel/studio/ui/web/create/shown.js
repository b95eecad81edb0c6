// What the stage shows: what was chosen, else what happens now, else the newest picture.
import { store } from "../store.js";

const ACTIVE = new Set(["loading", "drawing", "saving"]);
/** `shown` is a picture's id, a ticket's behind this, or null: follow what happens. */
const TICKET = "ticket:";

export const isActive = (ticket) => ACTIVE.has(ticket.state);
export const isOpen = (ticket) => isActive(ticket) || ticket.state === "queued";

/** Own tickets that are not ended: the one in work first, then by their place. */
export const openTickets = () => store.get("tickets").filter(isOpen)
  .sort((one, other) => isActive(other) - isActive(one) || (one.place ?? 0) - (other.place ?? 0));

/** Own tickets that failed, and were not read yet. */
export const failedTickets = () => store.get("tickets")
  .filter((one) => one.state === "failed" && !store.get("dismissed").includes(one.id))
  .sort((one, other) => one.made_at.localeCompare(other.made_at));

/** The ticket on the stage, or null where a picture is. */
export function shownTicket() {
  const shown = store.get("shown");
  if (shown?.startsWith(TICKET)) {
    const ticket = store.get("tickets").find((one) => TICKET + one.id === shown);
    if (ticket && (isOpen(ticket) || ticket.state === "failed")) return ticket;
  } else if (store.get("pictures").some((one) => one.id === shown)) return null;
  return store.get("live") ? openTickets()[0] ?? null : null;
}

/** The picture on the stage, or the one that would be there if nothing were being drawn. */
export function shownPicture() {
  const pictures = store.get("pictures");
  return pictures.find((one) => one.id === store.get("shown")) ?? pictures[0] ?? null;
}

export const showPicture = (picture) => show(picture.id);
export const showTicket = (ticket) => show(TICKET + ticket.id);

function show(id) {
  store.set("preparing", false);
  store.set("shown", id);
}

/** Show what happens now, and then each picture as it gets ready. */
export function follow() {
  show(null);
  store.set("live", true);
}

/** A picture is ready: who follows sees it, and goes on seeing it while the next one is drawn. */
export function ready(ticket) {
  store.set("live", false);
  if (ticket && store.get("shown") === TICKET + ticket.id) store.set("shown", null);
}

/** The picture `by` places further in the filmstrip; before the newest one is what happens now. */
export function step(by) {
  const pictures = store.get("pictures");
  const now = shownTicket() ? -1 : pictures.indexOf(shownPicture());
  const next = now + by;
  if (next < 0 && openTickets().length) return follow();
  const picture = pictures[Math.max(0, Math.min(pictures.length - 1, next))];
  if (picture) showPicture(picture);
}

const DISMISSED_KEPT = 40;

/** A failure was read: it goes from stage and strip. */
export function dismiss(ticket) {
  store.set("dismissed", [...store.get("dismissed"), ticket.id].slice(-DISMISSED_KEPT));
  if (store.get("shown") === TICKET + ticket.id) follow();
}
