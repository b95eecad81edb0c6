// Why fields are not here: the checkpoint does not take what they ask for.
import { html } from "../vendor/lit.js";
import { t } from "../texts.js";
import { checkpoint } from "./fields.js";

/** A sentence in the place of fields; what a text or a picture says of one of them is told there. @param {...string} names */
export const notTaken = (...names) => html`<p class="soft wide" data-says=${names.join(" ")}>
  ${t(`create.not-taken.${names[0]}`, { name: checkpoint()?.label || checkpoint()?.title || "" })}</p>`;
