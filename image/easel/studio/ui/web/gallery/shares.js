// All that the person shares at the moment, so that nothing stays open because it was forgotten.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { at, del, get } from "../api.js";
import { language, t } from "../texts.js";
import { copy } from "./copy.js";
import { trying } from "./trying.js";

class Shares extends EaselElement {
  static properties = { boards: { attribute: false }, shares: { state: true } };

  async open() {
    this.shares = null;
    await this.updateComplete;
    this.querySelector("dialog").showModal();
    await this.load();
  }

  async load() {
    this.shares = (await trying(get("studio/shares")))?.shares ?? [];
  }

  render() {
    return html`<dialog class="shares" aria-labelledby="shares-title">
      <h2 id="shares-title">${t("gallery.shares")}</h2>
      <p class="soft">${this.shares?.length === 0 ? t("gallery.shares.none") : t("gallery.shares.words")}</p>
      <ul>${this.shares?.map((one) => this.line(one)) ?? nothing}</ul>
      <div class="row answers"><button @click=${() => this.querySelector("dialog").close()}>${t("close")}</button></div>
    </dialog>`;
  }

  line(share) {
    const board = share.board && this.boards.find(share.board);
    const cover = share.picture ? `studio/gallery/small/${share.picture}` : board?.cover;
    const name = board?.name ?? t("gallery.shares.picture", {
      at: new Date(share.made_at).toLocaleDateString(language.code, { dateStyle: "medium" }),
    });
    const href = new URL(share.address, location.href.split("#")[0]).href;
    return html`<li>
      ${cover ? html`<img class="cover" src=${at(cover)} alt="">` : html`<span class="cover"></span>`}
      <a class="name" href=${share.address} target="_blank" rel="noopener">${name}</a>
      <button @click=${() => copy(href)} aria-label=${t("gallery.shares.copy", { name })}>${t("gallery.copy")}</button>
      <button class="bad" @click=${() => this.end(share)} aria-label=${t("gallery.shares.end", { name })}>${t("gallery.share.end")}</button>
    </li>`;
  }

  async end(share) {
    await trying(del(`studio/shares/${share.token}`));
    await this.load();
  }
}
customElements.define("easel-shares", Shares);
