// The boards beside the pictures: a column, or one list to choose from on a phone.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { at } from "../api.js";
import { t } from "../texts.js";
import { ask } from "./question.js";
import { trying } from "./trying.js";

const NEW = "+", SHARES = "↗";

/** Tells `choose` {board}, `share` {board} and `shares`. */
class Boards extends EaselElement {
  static properties = { boards: { attribute: false }, filter: { attribute: false }, marked: { attribute: false } };

  render() {
    const { board } = this.filter, { boards } = this.boards, chosen = this.boards.find(board);
    return html`
      <nav class="boards" aria-label=${t("gallery.boards")}>
        <button class="plain" aria-current=${board ? nothing : "true"} @click=${() => this.choose(null)}>
          <span class="cover all" aria-hidden="true">▦</span><span class="name">${t("gallery.all")}</span></button>
        ${boards.map((one) => html`<button class="plain" aria-current=${one.id === board ? "true" : nothing}
          @click=${() => this.choose(one.id)}>
          ${one.cover ? html`<img class="cover" src=${at(one.cover)} alt="" loading="lazy">` : html`<span class="cover"></span>`}
          <span class="name">${one.name}</span><small class="soft">${one.count}</small></button>`)}
        <button class="plain new" data-tip=${t("gallery.board.new.tip")} @click=${this.make}>
          <span class="cover all" aria-hidden="true">+</span><span class="name">${t("gallery.board.new")}</span></button>
        <button class="plain new" data-tip=${t("gallery.shares.tip")} @click=${() => this.emit("shares")}>
          <span class="cover all" aria-hidden="true">↗</span><span class="name">${t("gallery.shares")}</span></button>
      </nav>
      <div class="boards-list">
        <select aria-label=${t("gallery.boards")} @change=${(event) => this.picked(event.target)}>
          <option value="" ?selected=${!board}>${t("gallery.all")}</option>
          ${boards.map((one) => html`<option value=${one.id} ?selected=${one.id === board}>${one.name} (${one.count})</option>`)}
          <option value=${NEW}>${t("gallery.board.new")}…</option>
          <option value=${SHARES}>${t("gallery.shares")}…</option>
        </select></div>
      ${chosen ? html`<div class="board-tools" role="group" aria-label=${chosen.name}>
        <button @click=${() => this.emit("share", { board: chosen })}>${t("gallery.share")}</button>
        <button @click=${() => this.rename(chosen)}>${t("gallery.board.rename")}</button>
        <button class="bad" @click=${() => this.delete(chosen)}>${t("gallery.board.delete")}</button></div>` : nothing}`;
  }

  choose(board) { this.emit("choose", { board }); }

  picked(select) {
    const { value } = select;
    if (value !== NEW && value !== SHARES) return this.choose(value || null);
    select.value = this.filter.board ?? "";
    return value === NEW ? this.make() : this.emit("shares");
  }

  async make() {
    const name = await ask({ title: t("gallery.board.new"), label: t("gallery.board.name"), act: t("gallery.board.make") });
    const made = name && await trying(this.boards.make(name));
    if (made) this.choose(made.id);
  }

  async rename(board) {
    const name = await ask({
      title: t("gallery.board.rename"), label: t("gallery.board.name"), value: board.name, act: t("gallery.board.rename"),
    });
    if (name) await trying(this.boards.rename(board.id, name));
  }

  async delete(board) {
    const sure = await ask({
      title: t("gallery.board.delete.sure", { name: board.name }), words: t("gallery.board.delete.words"),
      act: t("gallery.board.delete"), bad: true,
    });
    if (!sure) return;
    await trying(this.boards.delete(board.id));
    this.choose(null);
  }
}
customElements.define("easel-boards", Boards);
