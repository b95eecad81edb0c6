// Everything that a first picture does not need, and that is loaded when somebody looks.
import { html } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { field } from "./fields.js";

let SECTIONS = null;

class Advanced extends EaselElement {
  static watches = ["fields", "session", "settings"];

  render() {
    const mode = field("mode");
    return html`<details class="advanced" ?open=${store.get("settings").advanced} @toggle=${this.toggled}><summary>${t("create.advanced")}</summary>
      ${SECTIONS ? SECTIONS.filter((one) => !one.modes || one.modes.includes(mode)).map((one) => html`
        <section class="part" data-section=${one.name} aria-label=${t(`create.section.${one.name}`)}>
          <h2>${t(`create.section.${one.name}`)}</h2>${one.element()}</section>`) : html`<p class="soft">${t("loading")}</p>`}
    </details>`;
  }

  /** Who works with it open finds it so next time. */
  toggled({ target }) {
    if (target !== this.querySelector("details.advanced")) return;
    if (target.open !== !!store.get("settings").advanced) store.patch("settings", { advanced: target.open });
    if (target.open) this.load();
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
