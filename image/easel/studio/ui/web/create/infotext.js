// A text with settings that was pasted as a prompt, as A1111 writes it into pictures: the fields can be filled from it.
import { html, nothing } from "../vendor/lit.js";
import { useText } from "../actions.js";
import { t } from "../texts.js";

/** Its last line begins with them. */
const SETTINGS = /^Steps: \d+, \S/m;

/** What is offered under a prompt that is such a text. */
export const infotextIn = (prompt) => (SETTINGS.test(prompt) ? html`<p class="said" role="status">${t("create.infotext")}
  <button type="button" @click=${() => useText(prompt)}>${t("create.infotext.use")}</button></p>` : nothing);
