// Everything that a first picture does not need, and that is loaded when somebody looks.
import { html } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { t } from "../texts.js";
import { field } from "./fields.js";

let SECTIONS = null;

class Advanced extends EaselElement {
  static watches = ["fields", "session"];

  render() {
    const mode = field("mode");
    return html`<details class="advanced" @toggle=${this.load}><summary>${t("create.advanced")}</summary>
      ${SECTIONS ? SECTIONS.filter((one) => !one.modes || one.modes.includes(mode)).map((one) => html`
        <section class="part" data-section=${one.name} aria-label=${t(`create.section.${one.name}`)}>
          <h2>${t(`create.section.${one.name}`)}</h2>${one.element()}</section>`) : html`<p class="soft">${t("loading")}</p>`}
    </details>`;
  }

  /** Bring the fields in; those that were set are said in the request whether they are here or not. */
  async load() {
    try {
      ({ SECTIONS } = await import("./sections.js"));
    } catch {
      // The studio was updated, and this tab's files are gone. All fields are kept.
      return location.reload();
    }
    this.requestUpdate();
    await this.updateComplete;
    // The fields are elements themselves, and draw themselves behind this one.
    await new Promise((done) => setTimeout(done));
  }
}
customElements.define("easel-advanced", Advanced);
