// Faces in pictures that are finished: restored, or found and drawn over again (ADetailer).
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { t } from "../texts.js";
import { tick } from "./choice.js";
import { field, setField } from "./fields.js";
import { saidOf } from "./number.js";

class Faces extends EaselElement {
  static watches = ["fields", "said"];

  render() {
    return html`${tick("restore_faces")}${tick("detail_faces")}
      ${field("detail_faces") ? html`<div class="fields">
        <div class="field wide" data-says="detail_prompt">
          <label for="field-detail_prompt">${t("create.detail_prompt")}</label>
          <input id="field-detail_prompt" type="text" data-tip=${t("create.detail_prompt.tip")} .value=${field("detail_prompt")}
            @input=${(event) => setField("detail_prompt", event.target.value)}>
          ${saidOf("detail_prompt")}
        </div>
        <easel-number name="detail_strength" step="0.01" slider></easel-number>
      </div>` : nothing}`;
  }
}
customElements.define("easel-faces", Faces);
