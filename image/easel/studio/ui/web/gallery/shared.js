// What somebody of this endpoint shares: `#shared/TOKEN`. To be looked at and drawn from; whose it is, is not told.
import { html } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { get } from "../api.js";
import { t } from "../texts.js";
import "./grid.js";
import "./viewer.js";

/** As an album, of pictures that do not change while they are looked at. */
class SharedAlbum {
  constructor(token, { board, pictures }) {
    Object.assign(this, { token, board, pictures });
  }

  find(id) { return this.pictures.find((one) => one.id === id) ?? null; }
}

class Shared extends EaselElement {
  static properties = { album: { state: true }, refused: { state: true } };

  connectedCallback() {
    super.connectedCallback();
    this.hear(window, "hashchange", () => this.load());
    this.load();
  }

  async load() {
    const [place, token] = location.hash.slice(1).split("/");
    if (place !== "shared" || this.token === token) return;
    this.token = token;
    [this.album, this.refused] = [null, null];
    try {
      const found = new SharedAlbum(token, await get(`studio/shares/${encodeURIComponent(token ?? "")}`));
      if (this.token === token) this.album = found;
    } catch (error) {
      if (this.token === token) this.refused = error;
      // Asked for again when the address is opened again.
      this.token = null;
    }
  }

  render() {
    const { album, refused } = this;
    if (refused) {
      return html`<div class="gallery shared"><div class="empty">
        <h2>${refused.status === 404 ? t("gallery.shared.gone") : t("gallery.shared.refused")}</h2>
        <p class="soft">${refused.status === 404 ? t("gallery.shared.gone.help") : refused.words}</p>
        <a class="button" href="#gallery">${t("gallery.shared.own")}</a></div></div>`;
    }
    if (!album) return html`<div class="gallery shared" aria-busy="true"></div>`;
    return html`<div class="gallery shared" @open-picture=${(event) => this.querySelector("easel-viewer").open(event.detail.id)}
      @closed-picture=${(event) => this.querySelector("easel-grid")?.focusPicture(event.detail.id)}>
      <div class="pictures">
        <h2>${album.board || t("gallery.shared.picture")}</h2>
        <p class="soft">${t("gallery.shared.words")}</p>
        ${album.pictures.length ? html`<easel-grid .pictures=${album.pictures} .total=${album.pictures.length}></easel-grid>`
          : html`<div class="empty"><p class="soft">${t("gallery.empty.shared")}</p></div>`}
      </div>
      <easel-viewer .album=${album} .own=${false} .parametersOf=${(id) => `studio/shares/${album.token}/parameters/${id}`}></easel-viewer>
    </div>`;
  }
}
customElements.define("easel-shared", Shared);
