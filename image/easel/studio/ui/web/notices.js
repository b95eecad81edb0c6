// What has to be said, in a corner: errors stay until they are closed, as does what somebody has to do; the rest goes by itself.
import { html } from "./vendor/lit.js";
import { EaselElement } from "./element.js";
import { store } from "./store.js";
import { t } from "./texts.js";

/** For a line. */
const READING = 8000;
let last = 0;

/**
 * Tell the person something.
 * @param {string} words
 * @param {{bad?: boolean, stays?: boolean, action?: {words: string, act: () => void}}} how
 * @returns {number} to take it back by
 */
export function tell(words, { bad = false, stays = bad, action = null } = {}) {
  const id = ++last;
  store.set("notices", [...store.get("notices").filter((one) => one.words !== words), { id, words, bad, action }]);
  if (!stays) setTimeout(() => untell(id), READING * words.split("\n").length);
  return id;
}

/** Take back what is not so any more. */
export const untell = (id) => store.set("notices", store.get("notices").filter((one) => one.id !== id));

class Notices extends EaselElement {
  static watches = ["notices"];

  render() {
    return html`<div class="notices" role="region" aria-label=${t("notices.title")} aria-live="polite">
      ${store.get("notices").map((one) => html`
        <div class="notice ${one.bad ? "bad" : ""}" role=${one.bad ? "alert" : "status"}>
          <span>${one.words}</span>
          ${one.action ? html`<button class="plain" @click=${() => { one.action.act(); untell(one.id); }}>
            ${one.action.words}</button>` : ""}
          <button class="icon" aria-label=${t("close")} @click=${() => untell(one.id)}>✕</button>
        </div>`)}
    </div>`;
  }
}
customElements.define("easel-notices", Notices);
