// LoRAs and embeddings beside the prompt: a click puts one in, another takes it out, and nobody leaves Create for it.
import { html, nothing, repeat } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { picture } from "./card.js";
import { load, wanted } from "./library.js";
import { leave, usable, use, used } from "./use.js";

const KINDS = ["lora", "embedding"];
/** More of them nobody looks through: the search finds the others. */
const MOST = 120;

class Shelf extends EaselElement {
  static watches = ["library", "library-trouble", "fields"];
  static properties = { kind: { state: true }, search: { state: true }, negative: { state: true } };

  constructor() {
    super();
    this.kind = "lora";
    this.search = "";
    this.negative = false;
  }

  connectedCallback() {
    super.connectedCallback();
    // Asked again each time it is opened, and by nobody while it is not: another place may hold the same list already.
    this.endWith(store.on("session", () => this.isOpen && load()));
  }

  get panel() { return this.querySelector(".shelf"); }

  get isOpen() { return !!this.panel?.matches(":popover-open"); }

  async show() {
    await this.updateComplete;
    this.panel.showPopover();
    this.panel.querySelector("input").focus();
    load();
  }

  render() {
    const models = store.get("library")?.models.filter((one) => one.kind === this.kind);
    const fitting = models?.filter((one) => usable(one) || used(one, store.get("fields"))) ?? [];
    const found = wanted(fitting, { search: this.search, sort: "name" });
    return html`<section class="shelf" popover aria-label=${t("shelf.title")}>
      <div class="row"><div class="segments" role="group" aria-label=${t("shelf.title")}>${KINDS.map((one) => html`
        <button type="button" aria-pressed=${one === this.kind} @click=${() => { this.kind = one; }}>${t(`models.kind.${one}`)}</button>`)}</div>
        <button type="button" class="icon" aria-label=${t("close")} @click=${() => this.panel.hidePopover()}>✕</button></div>
      <input type="search" .value=${this.search} placeholder=${t("shelf.search")} aria-label=${t("shelf.search")} autocomplete="off"
        @input=${(event) => { this.search = event.target.value; }}>
      ${this.kind === "embedding" ? html`<label class="tick"><input type="checkbox" .checked=${this.negative}
        @change=${(event) => { this.negative = event.target.checked; }}> ${t("shelf.negative")}</label>` : nothing}
      ${models ? this.tiles(found, models.length - fitting.length) : html`<p class="soft" role="status">${store.get("library-trouble") || t("loading")}</p>`}
    </section>`;
  }

  tiles(found, misfits) {
    return html`<div class="shelf-tiles">${repeat(found.slice(0, MOST), (one) => one.name, (one) => this.tile(one))}</div>
      <p class="soft" role="status">${found.length ? nothing : html`${t(this.search ? "shelf.nothing" : `shelf.none.${this.kind}`)} `}
        ${found.length > MOST ? html`${t("shelf.more", { n: found.length - MOST })} ` : nothing}
        ${misfits ? html`${t("shelf.misfits", { n: misfits })} ` : nothing}<a href="#models">${t("shelf.models")}</a></p>`;
  }

  tile(model) {
    const is = used(model, store.get("fields"));
    return html`<button type="button" class="shelf-tile" aria-pressed=${is} title=${model.name} data-tip=${model.words || model.trained_words[0] || nothing}
      @click=${() => (is ? leave(model) : use(model, { negative: this.negative, stay: true }))}>${picture(model)}<span>${model.label}</span></button>`;
  }
}
customElements.define("easel-shelf", Shelf);
