// Presets: all settings but the words and the seed, under a name, on this device.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { at } from "../api.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { setFields } from "./fields.js";

/** What belongs to one picture and not to a way of drawing. */
const APART = ["prompt", "negative_prompt", "seed", "subseed", "mode", "source", "more_sources", "mask", "sketch", "controlnet_units"];

class Presets extends EaselElement {
  static watches = ["presets", "pictures", "shown"];

  render() {
    const presets = store.get("presets");
    return html`
      ${presets.length ? html`<ul class="presets" aria-label=${t("create.section.presets")}>${presets.map((one) => html`
        <li class="chip">
          ${one.small ? html`<img src=${at(one.small)} alt="" width="24" height="24" @error=${(event) => event.target.remove()}>` : nothing}
          <button type="button" class="name" data-tip=${t("presets.use")} @click=${() => this.use(one)}>${one.name}</button>
          <button type="button" class="icon" aria-label=${t("presets.delete", { name: one.name })}
            @click=${() => store.set("presets", presets.filter((other) => other !== one))}>✕</button>
        </li>`)}</ul>` : nothing}
      <form class="row" @submit=${this.keep}>
        <label class="sr" for="preset-name">${t("presets.name")}</label>
        <input id="preset-name" required maxlength="60" placeholder=${t("presets.name")} autocomplete="off">
        <button>${t("presets.keep")}</button>
      </form>`;
  }

  keep(event) {
    event.preventDefault();
    event.stopPropagation();
    const name = event.target.elements[0].value.trim();
    if (!name) return;
    const fields = Object.fromEntries(Object.entries(store.get("fields")).filter(([key]) => !APART.includes(key)));
    const picture = store.get("pictures").find((one) => one.id === store.get("shown")) ?? store.get("pictures")[0];
    const others = store.get("presets").filter((one) => one.name !== name);
    store.set("presets", [...others, { name, fields, small: picture?.small ?? null }]);
    event.target.reset();
  }

  /** What a preset does not say is as if nobody had touched it. */
  use({ fields }) {
    const now = Object.keys(store.get("fields")).filter((key) => !APART.includes(key));
    setFields({ ...Object.fromEntries(now.map((key) => [key, undefined])), ...fields });
  }
}
customElements.define("easel-presets", Presets);
