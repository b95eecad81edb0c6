// Hires fix: draw small, enlarge, draw over it again.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { choice, tick } from "./choice.js";
import { field } from "./fields.js";

class Hires extends EaselElement {
  static watches = ["fields", "session", "said"];

  render() {
    const choices = store.get("session")?.choices ?? {};
    const upscalers = [...(choices.latent_upscalers ?? []), ...(choices.upscalers ?? []).map((one) => one.name)];
    const times = (side) => String(Math.round(field(side) * field("hr_scale")));
    return html`${tick("enable_hr")}
      ${field("enable_hr") ? html`<div class="fields">
        <easel-number name="hr_scale" step="0.05" slider upto="4"></easel-number>
        ${choice("hr_upscaler", upscalers.filter((one) => one !== "None"))}
        <easel-number name="hr_denoising_strength" step="0.01" slider></easel-number>
        <easel-number name="hr_second_pass_steps"></easel-number>
        <p class="soft wide">${t("create.hires.becomes", { width: times("width"), height: times("height") })}</p>
      </div>` : nothing}`;
  }
}
customElements.define("easel-hires", Hires);
