// How many pictures one press of Generate draws.
import { html } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { t } from "../texts.js";
import { field, setField } from "./fields.js";
import { saidOf } from "./number.js";

const USUAL = [1, 2, 4, 8];

class Count extends EaselElement {
  static watches = ["fields", "session", "said"];

  render() {
    const count = field("n_iter");
    return html`<fieldset class="count" data-says="n_iter">
      <legend>${t("create.n_iter")}</legend>
      <div class="segments" data-tip=${t("create.n_iter.tip")}>
        ${USUAL.map((n) => html`<button type="button" aria-pressed=${count === n} aria-label=${t("create.pictures", { n })}
          @click=${() => setField("n_iter", n)}>${n}</button>`)}
        <input type="number" min="1" inputmode="numeric" aria-label=${t("create.n_iter.own")} .value=${USUAL.includes(count) ? "" : String(count)}
          placeholder="…" @change=${this.own}>
      </div>
      ${saidOf("n_iter")}
    </fieldset>`;
  }

  /** A number that has a button stands on that alone. */
  own({ target }) {
    const count = target.value === "" ? undefined : Number(target.value);
    setField("n_iter", count);
    if (USUAL.includes(count)) target.value = "";
  }
}
customElements.define("easel-count", Count);
