// Presets: all settings but the words and the seed, under a name, on each device of a person.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { ask, at, del, get } from "../api.js";
import { tell } from "../notices.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { setFields } from "./fields.js";

/** What belongs to one picture and not to a way of drawing. */
const APART = ["prompt", "negative_prompt", "seed", "subseed", "mode", "source", "more_sources", "mask", "sketch", "controlnet_units"];

const address = (name) => `studio/presets?name=${encodeURIComponent(name)}`;

class Presets extends EaselElement {
  static watches = ["pictures", "shown"];
  static properties = { presets: { state: true } };

  constructor() {
    super();
    this.presets = [];
  }

  connectedCallback() {
    super.connectedCallback();
    this.tried(() => get("studio/presets"));
  }

  /** Do it, and show what is kept now. */
  async tried(work) {
    try {
      ({ presets: this.presets } = await work());
    } catch (error) {
      tell(error.words ?? String(error), { bad: true });
    }
  }

  render() {
    const { presets } = this;
    return html`
      ${presets.length ? html`<ul class="presets" aria-label=${t("create.section.presets")}>${presets.map((one) => html`
        <li class="chip">
          ${one.look ? html`<img src=${at(one.look)} alt="" width="24" height="24">` : nothing}
          <button type="button" class="name" data-tip=${t("presets.use")} @click=${() => this.use(one)}>${one.name}</button>
          <button type="button" class="icon" aria-label=${t("presets.delete", { name: one.name })}
            @click=${() => this.tried(() => del(address(one.name)))}>✕</button>
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
    this.tried(() => ask("PUT", address(name), { fields, picture: picture?.id ?? null }));
    event.target.reset();
  }

  /** What a preset does not say is as if nobody had touched it. */
  use({ fields }) {
    const now = Object.keys(store.get("fields")).filter((key) => !APART.includes(key));
    setFields({ ...Object.fromEntries(now.map((key) => [key, undefined])), ...fields });
  }
}
customElements.define("easel-presets", Presets);
