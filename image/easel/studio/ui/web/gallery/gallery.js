// The gallery: a person's own pictures, boards beside them, and what can be done with many at once.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { store } from "../store.js";
import { duration, t } from "../texts.js";
import { Album } from "./album.js";
import { BoardList } from "./board-list.js";
import { Selection } from "./selection.js";
import { trying } from "./trying.js";
import "./boards.js";
import "./grid.js";
import "./selected.js";
import "./share.js";
import "./shares.js";
import "./viewer.js";

const TYPING = 250;

class Gallery extends EaselElement {
  static watches = ["session", "place"];

  album = new Album();
  boards = new BoardList();
  selection = new Selection();
  marked = 0;

  connectedCallback() {
    super.connectedCallback();
    const again = () => { this.selection.keep(this.album.pictures); this.mark(); };
    this.album.addEventListener("change", again);
    this.boards.addEventListener("change", again);
    this.album.open();
    trying(this.boards.load());
    this.endWith(store.on("place", (place) => {
      // One that is open in a hidden place would hold the whole page.
      if (place !== "gallery") for (const dialog of this.querySelectorAll("dialog[open]")) dialog.close();
    }));
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.album.close();
  }

  /** Draw again; the selection is the same object, so its holder counts. */
  mark() {
    this.marked += 1;
    this.requestUpdate();
  }

  render() {
    const { album, boards, selection } = this;
    const board = boards.find(album.filter.board);
    return html`<div class="gallery" ?data-picking=${selection.begun} @pick-picture=${this.pick} @keydown=${this.pressed}
      @open-picture=${(event) => this.querySelector("easel-viewer").open(event.detail.id)}
      @closed-picture=${(event) => this.querySelector("easel-grid")?.focusPicture(event.detail.id)}
      @need-more=${() => album.more()} @share=${(event) => this.querySelector("easel-share").open(event.detail)}>
      <h2 class="sr">${t("place.gallery")}</h2>
      <easel-boards .boards=${boards} .filter=${album.filter} .marked=${this.marked}
        @choose=${(event) => this.choose(event.detail)} @shares=${() => this.querySelector("easel-shares").open()}></easel-boards>
      <div class="pictures">
        <div class="tools" role="search">
          <input type="search" class="words" .value=${album.filter.q} aria-label=${t("gallery.search")}
            placeholder=${t("gallery.search")} data-tip=${t("gallery.search.tip")} @input=${this.typed}>
          <button class="only-starred" aria-pressed=${album.filter.starred ? "true" : "false"} data-tip=${t("gallery.starred.tip")}
            @click=${() => this.choose({ starred: !album.filter.starred })}>★ <span>${t("gallery.starred")}</span></button>
          <button class="picking" aria-pressed=${selection.picking ? "true" : "false"} @click=${this.beginPicking}>${t("gallery.pick")}</button>
          <p class="count soft" role="status">${album.loaded ? this.counted() : ""}</p>
        </div>
        ${this.shown()}
        <p class="kept soft">${this.kept()}</p>
      </div>
      <easel-selected .album=${album} .boards=${boards} .selection=${selection} .board=${board} .marked=${this.marked}
        @cleared=${() => { selection.clear(); this.mark(); }}></easel-selected>
      <easel-viewer .album=${album} .boards=${boards} .marked=${this.marked}></easel-viewer>
      <easel-share></easel-share>
      <easel-shares .boards=${boards}></easel-shares>
    </div>`;
  }

  shown() {
    const { album } = this;
    if (album.error && !album.pictures.length) {
      return html`<div class="empty"><p class="wrong">${album.error.words}</p>
        <button @click=${() => album.show({})}>${t("gallery.retry")}</button></div>`;
    }
    if (album.loaded && !album.total) return this.empty();
    return html`<easel-grid .pictures=${album.pictures} .total=${album.total} .selection=${this.selection}
        .marked=${this.marked} aria-busy=${album.loading ? "true" : "false"}></easel-grid>
      ${album.error ? html`<p class="wrong">${album.error.words}
        <button @click=${() => { album.error = null; album.more(); }}>${t("gallery.retry")}</button></p>` : nothing}`;
  }

  empty() {
    const { filter, filtered } = this.album;
    const about = filter.q ? "words" : filter.board ? "board" : filter.starred ? "starred" : "all";
    return html`<div class="empty">
      <h3>${t(`gallery.empty.${about}`)}</h3>
      <p class="soft">${t(`gallery.empty.${about}.help`)}</p>
      ${filtered ? html`<button @click=${() => this.choose({ q: "", starred: false, board: null })}>${t("gallery.show-all")}</button>`
        : html`<a class="button main" href="#create">${t("gallery.create")}</a>`}
    </div>`;
  }

  counted() {
    const n = this.album.total;
    return this.album.filter.q ? t("gallery.found", { n }) : t("gallery.count", { n });
  }

  kept() {
    // Not before the pictures are there, which would push it away.
    if (!this.album.loaded || !store.get("session")) return "";
    const seconds = store.get("session").retention_seconds;
    if (seconds == null) return t("gallery.kept-for-good");
    const days = Math.round(seconds / 86_400);
    return days >= 2 ? t("gallery.kept", { n: days }) : t("gallery.kept-briefly", { time: duration(seconds) });
  }

  typed(event) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.choose({ q: event.target.value.trim() }), TYPING);
  }

  choose(filter) {
    this.selection.clear();
    this.mark();
    if (scrollY > this.offsetTop) scrollTo(0, 0);
    return this.album.show(filter);
  }

  pick({ detail: { id, how } }) {
    const { pictures } = this.album;
    if (how === "day") this.selection.toggleAll(pictures.filter((one) => one.day === id).map((one) => one.id));
    else if (how === "range") this.selection.extend(pictures, id);
    else this.selection.toggle(id);
    this.mark();
  }

  beginPicking() {
    const { picking } = this.selection;
    this.selection.clear();
    this.selection.picking = !picking;
    this.mark();
  }

  pressed(event) {
    if (event.target.closest("dialog, input:not([type=checkbox]), select")) return;
    if (event.key === "Escape" && this.selection.begun) {
      event.preventDefault();
      this.selection.clear();
      this.mark();
    } else if (event.key === "a" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      for (const one of this.album.pictures) this.selection.ids.add(one.id);
      this.mark();
    } else if (event.key === "Delete" && this.selection.size) {
      event.preventDefault();
      this.querySelector("easel-selected").delete();
    }
  }
}
customElements.define("easel-gallery", Gallery);
