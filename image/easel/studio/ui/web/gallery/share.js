// A link to one picture or one board, for others of this endpoint.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { del, get, post } from "../api.js";
import { tell } from "../notices.js";
import { t } from "../texts.js";
import { copy } from "./copy.js";
import { trying } from "./trying.js";

class Share extends EaselElement {
  static properties = { about: { state: true }, share: { state: true } };

  /** @param {{picture?: {id: string}, board?: {id: string, name: string}}} about one of them */
  async open(about) {
    this.about = about;
    this.share = undefined;
    await this.updateComplete;
    this.querySelector("dialog").showModal();
    const found = await trying(get("studio/shares"));
    this.share = found?.shares.find((one) => (about.board ? one.board === about.board.id : one.picture === about.picture.id)) ?? null;
  }

  /** The page's own address, with what is shared behind the hash. */
  get address() { return new URL(this.share.address, location.href.split("#")[0]).href; }

  render() {
    if (!this.about) return nothing;
    const { board } = this.about;
    return html`<dialog aria-labelledby="share-title" class="share">
      <h2 id="share-title">${board ? t("gallery.share.board", { name: board.name }) : t("gallery.share.picture")}</h2>
      <p>${board ? t("gallery.share.board.words") : t("gallery.share.picture.words")}</p>
      ${this.share ? html`<label class="field"><span>${t("gallery.share.link")}</span>
          <input type="text" readonly .value=${this.address} @focus=${(event) => event.target.select()}></label>` : nothing}
      <div class="row wrap answers">
        <button @click=${() => this.querySelector("dialog").close()}>${t("close")}</button>
        ${this.share ? html`<button class="bad" @click=${this.end}>${t("gallery.share.end")}</button>
          <button class="main" @click=${() => copy(this.address)}>${t("gallery.copy")}</button>` : nothing}
        ${this.share === null ? html`<button class="main" @click=${this.make}>${t("gallery.share.make")}</button>` : nothing}
      </div></dialog>`;
  }

  async make() {
    const { board, picture } = this.about;
    const made = await trying(post("studio/shares", board ? { board: board.id } : { picture: picture.id }));
    if (!made) return;
    this.share = made;
    await copy(this.address);
  }

  async end() {
    const { token } = this.share;
    await trying(del(`studio/shares/${token}`).then(() => {
      this.share = null;
      tell(t("gallery.share.ended"));
    }));
  }
}
customElements.define("easel-share", Share);
