// Two pictures over each other, and a line between them that one moves.
import { html } from "../vendor/lit.js";
import { EaselElement, styled } from "../element.js";
import { at } from "../api.js";
import { store } from "../store.js";
import { t } from "../texts.js";

class Compare extends EaselElement {
  static watches = ["comparing", "pictures"];
  static properties = { picture: {}, share: { state: true } };

  constructor() {
    super();
    this.share = 50;
  }

  render() {
    const other = store.get("pictures").find((one) => one.id === store.get("comparing")) ?? this.picture;
    const side = (one, name) => html`<img class=${name} src=${at(one.url)} alt=${one.prompt} width=${one.width} height=${one.height} draggable="false">`;
    return html`<div class="sheet compare" ${styled({ "--w": this.picture.width, "--h": this.picture.height, "--share": `${this.share}%` })}>
      ${side(other, "under")}${side(this.picture, "over")}<i class="divider"></i>
      <input type="range" min="0" max="100" step="0.5" .value=${String(this.share)} aria-label=${t("stage.compare.share")}
        @input=${(event) => { this.share = Number(event.target.value); }}>
      <p class="hint">${t("stage.compare.hint")}</p>
    </div>`;
  }
}
customElements.define("easel-compare", Compare);
