// Styles: words that are kept under a name and added to the prompt.
import { html } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { get } from "../api.js";
import { t } from "../texts.js";
import { field, setField } from "./fields.js";

class Styles extends EaselElement {
  static watches = ["fields"];
  static properties = { known: { state: true } };

  constructor() {
    super();
    this.known = null;
  }

  connectedCallback() {
    super.connectedCallback();
    get("sdapi/v1/prompt-styles").then((known) => { this.known = known; }, () => { this.known ??= []; });
  }

  render() {
    if (!this.known) return html`<p class="soft">${t("loading")}</p>`;
    if (!this.known.length) return html`<p class="soft">${t("create.styles.none")}</p>`;
    const chosen = field("styles");
    return html`<div class="chips" role="group" aria-label=${t("create.section.styles")}>
      ${this.known.map((one) => html`<button type="button" class="chip" aria-pressed=${chosen.includes(one.name)}
        data-tip=${one.prompt ?? ""} @click=${() => this.toggle(one.name)}>${one.name}</button>`)}
    </div>`;
  }

  toggle(name) {
    const chosen = field("styles");
    setField("styles", chosen.includes(name) ? chosen.filter((one) => one !== name) : [...chosen, name]);
  }
}
customElements.define("easel-styles", Styles);
