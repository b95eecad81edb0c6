// Another checkpoint that draws the last part of the steps.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { choice } from "./choice.js";
import { field } from "./fields.js";

class Refiner extends EaselElement {
  static watches = ["fields", "session", "said"];

  render() {
    const known = (store.get("session")?.checkpoints ?? []).map((one) => ({ name: one.name, label: one.title }));
    return html`<div class="fields">
      ${choice("refiner_checkpoint", [{ name: "", label: t("create.refiner.none") }, ...known])}
      ${field("refiner_checkpoint") ? html`<easel-number name="refiner_switch_at" step="0.05" slider></easel-number>` : nothing}
    </div>`;
  }
}
customElements.define("easel-refiner", Refiner);
