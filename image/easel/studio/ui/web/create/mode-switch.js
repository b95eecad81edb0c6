// The switch between modes: a rail beside the fields, a row above them on a phone.
import { html } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { field, setField } from "./fields.js";
import { MODE_ICONS } from "./icons.js";
import { hasMode, MODES } from "./modes.js";

class ModeSwitch extends EaselElement {
  static watches = ["fields"];

  render() {
    const now = hasMode(field("mode")) ? field("mode") : "text";
    return html`<fieldset class="modes">
      <legend class="sr">${t("create.modes")}</legend>
      ${MODES.map(({ name }) => html`<label data-tip=${t(`create.mode.${name}.tip`)}>
        <input class="sr" type="radio" name="mode" value=${name} .checked=${name === now} @change=${() => this.choose(name)}>
        ${MODE_ICONS[name]}<span>${t(`create.mode.${name}`)}</span></label>`)}
    </fieldset>`;
  }

  /** On a phone the row is longer than the window; `scrollIntoView` would move the page as well. */
  updated() {
    const chosen = this.querySelector(":checked")?.parentElement, row = chosen?.parentElement;
    if (row) row.scrollLeft = chosen.offsetLeft - row.offsetLeft - (row.clientWidth - chosen.offsetWidth) / 2;
  }

  choose(name) {
    store.set("preparing", true);
    setField("mode", name);
  }
}
customElements.define("easel-mode-switch", ModeSwitch);
