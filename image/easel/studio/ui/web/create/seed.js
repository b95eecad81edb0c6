// Where the picture begins: a random seed each time, or one that is held.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { t } from "../texts.js";
import { field, said, setField, setFields } from "./fields.js";
import { DICE, KEEP } from "./icons.js";
import { saidOf } from "./number.js";
import { shownPicture } from "./shown.js";

class Seed extends EaselElement {
  static watches = ["fields", "session", "said", "pictures", "shown"];

  render() {
    const seed = field("seed"), random = seed === -1, last = shownPicture()?.seed, bad = said("seed")?.bad;
    return html`<div class="field seed" data-says="seed">
      <label for="field-seed">${t("create.seed")}</label>
      <div class="row">
        <input id="field-seed" type="text" inputmode="numeric" autocomplete="off" placeholder=${t("create.seed.random")}
          data-tip=${t("create.seed.tip")} .value=${random ? "" : String(seed)} aria-invalid=${bad ? "true" : "false"}
          aria-errormessage=${bad ? "said-seed" : nothing} @change=${this.typed}>
        <button type="button" class="icon" aria-pressed=${random} aria-label=${t("create.seed.dice")} data-tip=${t("create.seed.dice")}
          @click=${() => setFields({ seed: undefined, subseed: undefined, subseed_strength: undefined })}>${DICE}</button>
        <button type="button" class="icon" ?disabled=${last === undefined || last === null} aria-label=${t("create.seed.reuse")}
          data-tip=${t("create.seed.reuse")} @click=${() => setField("seed", last)}>${KEEP}</button>
      </div>
      ${saidOf("seed")}
    </div>`;
  }

  typed(event) {
    const words = event.target.value.trim();
    setField("seed", words === "" || words === "-1" ? undefined : /^\d+$/.test(words) ? Number(words) : words);
  }
}
customElements.define("easel-seed", Seed);
