// One picture as large as the window, with what it was drawn from and what can be done with it.
import { html, nothing, ref } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import * as actions from "../actions.js";
import { at, get } from "../api.js";
import { tell } from "../notices.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { downloadOne } from "./download.js";
import { sureToDelete } from "./selected.js";
import { trying } from "./trying.js";
import { CloseLook } from "./close-look.js";
import { DELETE, DOWNLOAD, INFO, SHARE } from "../create/icons.js";
import { ask } from "./question.js";
import "./parameters.js";

const MODES = ["image", "inpaint", "upscale"];
const NEW = "+";
const BESIDE = "easel:viewer-beside";

/**
 * `album` has the pictures; `own` is false for what somebody else shares: to be looked at and drawn from, no more.
 * Tells `share` {picture}.
 */
class Viewer extends EaselElement {
  static properties = {
    album: { attribute: false }, boards: { attribute: false }, own: { attribute: false }, marked: { attribute: false },
    parametersOf: { attribute: false }, said: { state: true }, beside: { state: true },
  };

  constructor() {
    super();
    this.own = true;
    this.parametersOf = (id) => `studio/gallery/parameters/${id}`;
    this.current = null;
    this.said = null;
    this.beside = sessionStorage.getItem(BESIDE) !== "no" && innerWidth > 720;
  }

  /** @param {string} id of a picture of the album */
  async open(id) {
    this.place = this.album.pictures.findIndex((one) => one.id === id);
    const shown = this.show(id);
    await this.updateComplete;
    const dialog = this.querySelector("dialog");
    if (dialog.open) return;
    dialog.showModal();
    // Back comes back to the tiles, as a phone's people expect.
    history.pushState({ viewing: true }, "");
    await shown;
  }

  connectedCallback() {
    super.connectedCallback();
    const back = () => this.querySelector("dialog[open]")?.close();
    this.endWith(store.on("place", back));
    this.hear(window, "popstate", back);
  }

  async show(id) {
    this.current = id;
    this.said = null;
    this.zoom?.reset();
    this.requestUpdate();
    await this.updateComplete;
    this.preload();
    const said = await trying(get(this.parametersOf(id)));
    if (this.current === id) this.said = said ?? null;
  }

  /** The neighbours come before they are asked for. */
  preload() {
    for (const one of [this.album.pictures[this.place + 1], this.album.pictures[this.place - 1]]) {
      if (one) new Image().src = at(one.url);
    }
  }

  willUpdate() {
    if (!this.current || !this.album) return;
    const { pictures } = this.album;
    const place = pictures.findIndex((one) => one.id === this.current);
    if (place >= 0) this.place = place;
    // It was deleted, here or elsewhere: the next takes its place.
    else if (pictures.length) this.show(pictures[Math.min(this.place, pictures.length - 1)].id);
    else this.querySelector("dialog")?.close();
  }

  get picture() { return this.album?.find(this.current) ?? null; }

  go(by) {
    const next = this.album.pictures[this.place + by];
    if (!next) return;
    this.place += by;
    this.show(next.id);
    if (this.place + 20 > this.album.pictures.length) this.album.more?.();
  }

  render() {
    const { picture } = this;
    if (!this.current || !picture) return html`<dialog class="viewer"></dialog>`;
    return html`<dialog class="viewer" aria-label=${picture.prompt || t("gallery.untitled")} @keydown=${this.pressed} @close=${this.closed}>
      <div class="frame" tabindex="-1" autofocus ${ref((frame) => this.framed(frame))}>
        <img class="whole" src=${at(picture.url)} width=${picture.width || nothing} height=${picture.height || nothing}
          alt=${picture.prompt || t("gallery.untitled")} draggable="false">
        <button class="step before" ?disabled=${this.place <= 0} aria-label=${t("gallery.before")} @click=${() => this.go(-1)}>‹</button>
        <button class="step after" ?disabled=${this.place >= this.album.pictures.length - 1} aria-label=${t("gallery.after")}
          @click=${() => this.go(1)}>›</button>
      </div>
      <div class="viewer-tools" role="toolbar" aria-label=${t("gallery.actions")}>
        ${this.tools(picture)}
        <button class="icon close" aria-label=${t("close")} data-tip=${t("close")} @click=${() => this.querySelector("dialog").close()}>✕</button>
      </div>
      ${this.beside ? html`<aside class="beside" aria-label=${t("gallery.parameters")}>
        <easel-parameters .picture=${picture} .said=${this.said}></easel-parameters></aside>` : nothing}
    </dialog>`;
  }

  tools(picture) {
    return html`
      <button class="main" ?disabled=${!this.drawable} data-tip=${t("gallery.use.tip")} @click=${this.use}>${t("gallery.use")}</button>
      ${this.own ? html`
        <select aria-label=${t("gallery.send")} data-tip=${t("gallery.send.tip")} @change=${(event) => this.send(event.target)}>
          <option value="">${t("gallery.send")}</option>
          ${MODES.map((one) => html`<option value=${one}>${t(`gallery.send.${one}`)}</option>`)}</select>
        <button class="icon" aria-pressed=${picture.starred ? "true" : "false"} aria-label=${t("gallery.star")} data-tip=${t("gallery.star")}
          @click=${() => trying(this.album.star([picture.id], !picture.starred))}>${picture.starred ? "★" : "☆"}</button>
        <select aria-label=${t("gallery.add-to-board")} @change=${(event) => this.put(event.target)}>
          <option value="">${t("gallery.add-to-board")}</option>
          ${this.boards?.boards.map((one) => html`<option value=${one.id}>${picture.boards.includes(one.id) ? "✓ " : ""}${one.name}</option>`)}
          <option value=${NEW}>${t("gallery.board.new")}…</option></select>
        ${does(SHARE, "gallery.share", () => this.emit("share", { picture }))}` : nothing}
      ${does(DOWNLOAD, "gallery.download", () => downloadOne(picture))}
      ${this.own ? does(DELETE, "gallery.delete", () => this.delete(), { kind: "bad" }) : nothing}
      ${does(INFO, "gallery.parameters", () => this.fold(), { pressed: this.beside ? "true" : "false" })}`;
  }

  get drawable() { return Boolean(this.said && Object.keys(this.said.request).length); }

  framed(frame) {
    if (!frame || frame === this.zoom?.frame) return;
    this.zoom = new CloseLook(frame, () => frame.querySelector("img"));
  }

  closed() {
    const id = this.current;
    this.current = null;
    if (history.state?.viewing) history.back();
    this.emit("closed-picture", { id });
  }

  pressed(event) {
    if (event.target.closest("select, input, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      ArrowLeft: () => this.go(-1), ArrowRight: () => this.go(1), "+": () => this.zoom.by(1.5), "=": () => this.zoom.by(1.5),
      "-": () => this.zoom.by(1 / 1.5), 0: () => this.zoom.reset(), Delete: () => this.own && this.delete(), i: () => this.fold(),
      s: () => this.own && trying(this.album.star([this.current], !this.picture.starred)),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  fold() {
    this.beside = !this.beside;
    sessionStorage.setItem(BESIDE, this.beside ? "yes" : "no");
  }

  use() {
    const { request, remarks } = this.said;
    this.leave();
    actions.use(request, remarks);
  }

  send(select) {
    const mode = select.value;
    select.value = "";
    if (!mode) return;
    const { picture } = this;
    this.leave();
    actions.sendTo(mode, picture);
  }

  leave() {
    history.replaceState(null, "");
    this.querySelector("dialog").close();
    actions.openPlace("create");
  }

  async put(select) {
    const to = select.value, { id, boards } = this.picture;
    select.value = "";
    const name = to === NEW ? await ask({ title: t("gallery.board.new"), label: t("gallery.board.name"), act: t("gallery.board.make") }) : null;
    const board = name ? await trying(this.boards.make(name)) : this.boards.find(to);
    if (!board) return;
    const there = boards.includes(board.id);
    await trying(this.boards.fill(board.id, there ? { remove: [id] } : { add: [id] }).then(() => {
      this.album.amend([id], () => ({ boards: there ? boards.filter((one) => one !== board.id) : [...boards, board.id] }));
      tell(t(there ? "gallery.taken-off" : "gallery.put", { n: 1, board: board.name }));
    }));
  }

  async delete() {
    const { current } = this;
    if (!await sureToDelete(1)) return;
    const gone = await trying(this.album.delete([current]));
    if (gone !== undefined) tell(t("gallery.deleted", { n: gone }));
  }
}
customElements.define("easel-viewer", Viewer);

/** A button of the toolbar: picture and words, of which a phone has room for the first. */
const does = (icon, key, act, { kind = "", pressed = nothing } = {}) => html`<button class="act ${kind}" aria-label=${t(key)} aria-pressed=${pressed}
  data-tip=${t(key)} @click=${act}>${icon}<span aria-hidden="true">${t(key)}</span></button>`;
