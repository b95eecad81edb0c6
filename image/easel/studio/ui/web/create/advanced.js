// Everything that a first picture does not need.
import { html } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { t } from "../texts.js";
import { field } from "./fields.js";
import { SECTIONS } from "./sections.js";

class Advanced extends EaselElement {
  static watches = ["fields"];

  render() {
    const mode = field("mode");
    return html`<details class="advanced"><summary>${t("create.advanced")}</summary>
      ${SECTIONS.filter((one) => !one.modes || one.modes.includes(mode)).map((one) => html`
        <section class="part" data-section=${one.name} aria-label=${t(`create.section.${one.name}`)}>
          <h2>${t(`create.section.${one.name}`)}</h2>${one.element()}</section>`)}
    </details>`;
  }
}
customElements.define("easel-advanced", Advanced);
