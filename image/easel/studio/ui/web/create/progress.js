// How far a ticket is, in words and numbers.
import { store } from "../store.js";
import { duration, language, t } from "../texts.js";

/** "3rd". */
const nth = (n) => t(`queue.nth.${new Intl.PluralRules(language.code, { type: "ordinal" }).select(n)}`, { n });

/** What is drawn before it: "4 pictures before it, 2 others are drawing too"; "" where nothing is. */
export function ahead({ ahead: before }) {
  if (!before?.pictures) return "";
  const pictures = t("queue.ahead", { n: before.pictures });
  return before.people ? t("queue.ahead.others", { pictures, n: before.people }) : pictures;
}

/** One short line: "3rd, about 20 s"; "step 12 of 20"; "failed". */
export function brief(ticket) {
  switch (ticket.state) {
    case "queued": {
      const place = ticket.place > 1 ? nth(ticket.place) : t("queue.next");
      return ticket.starts_in ? t("queue.place", { place, time: duration(ticket.starts_in) }) : place;
    }
    case "drawing": return left(ticket) || t("queue.step", { step: ticket.step ?? 0, steps: ticket.steps });
    default: return t(`queue.${ticket.state}`);
  }
}

/** "about 6 s left", or "" where nobody knows: not yet, or not while the studio does not answer. */
export const left = ({ eta }) => (eta == null || store.get("connection") !== "ok" ? "" : t("queue.left", { time: duration(eta) }));

/** All there is to say of a ticket on the stage. */
export function whole(ticket) {
  const name = ticket.request?.override_settings?.sd_model_checkpoint?.replace(/\.\w+$/, "");
  switch (ticket.state) {
    case "queued": return [brief(ticket), ahead(ticket)];
    case "loading": return [name ? t("stage.loading", { name }) : t("queue.loading")];
    case "drawing": return [
      ticket.pictures > 1 ? t("stage.picture", { n: ticket.picture || 1, of: ticket.pictures }) : "",
      ticket.step ? t("queue.step", { step: ticket.step, steps: ticket.steps }) : t("queue.drawing"), left(ticket),
    ];
    default: return [t(`queue.${ticket.state}`)];
  }
}
