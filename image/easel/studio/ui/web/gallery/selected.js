// What can be done with the pictures that are selected.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { tell } from "../notices.js";
import { t } from "../texts.js";
import { download } from "./download.js";
import { ask } from "./question.js";
import { trying } from "./trying.js";

const NEW = "+";

/** Shown while something is selected. Tells `cleared` and `share` {picture}. */
class Selected extends EaselElement {
  static properties = {
    album: { attribute: false }, boards: { attribute: false }, selection: { attribute: false }, board: { attribute: false },
    marked: { attribute: false },
  };

  get ids() { return [...this.selection.ids]; }

  render() {
    const n = this.selection.size;
    if (!n) return html`<p class="sr" role="status"></p>`;
    const starred = this.ids.every((id) => this.album.find(id)?.starred);
    return html`<p class="sr" role="status">${t("gallery.selected", { n })}</p>
      <div class="selected-bar" role="toolbar" aria-label=${t("gallery.selected", { n })}>
        <button class="icon" aria-label=${t("gallery.clear")} data-tip=${t("gallery.clear.tip")} @click=${() => this.emit("cleared")}>✕</button>
        <b aria-hidden="true">${t("gallery.selected", { n })}</b>
        <button @click=${() => trying(this.album.star(this.ids, !starred))}>${starred ? t("gallery.unstar") : t("gallery.star")}</button>
        <select aria-label=${t("gallery.add-to-board")} @change=${(event) => this.put(event.target)}>
            <option value="" selected>${t("gallery.add-to-board")}</option>
            ${this.boards.boards.map((one) => html`<option value=${one.id}>${one.name}</option>`)}
            <option value=${NEW}>${t("gallery.board.new")}…</option></select>
        ${this.board ? html`<button @click=${() => this.takeOff()}>${t("gallery.take-off")}</button>` : nothing}
        ${n === 1 ? html`<button @click=${() => this.emit("share", { picture: this.album.find(this.ids[0]) })}
          >${t("gallery.share")}</button>` : nothing}
        <button data-tip=${t("gallery.zip.tip")} @click=${() => trying(download(this.ids))}>${t("gallery.zip")}</button>
        <button class="bad" @click=${() => this.delete()}>${t("gallery.delete")}</button>
      </div>`;
  }

  async put(select) {
    const to = select.value, ids = this.ids;
    select.value = "";
    if (!to) return;
    const name = to === NEW
      ? await ask({ title: t("gallery.board.new"), label: t("gallery.board.name"), act: t("gallery.board.make") }) : null;
    if (to === NEW && !name) return;
    const board = name ? await trying(this.boards.make(name)) : this.boards.find(to);
    if (!board) return;
    await trying(this.boards.fill(board.id, { add: ids }).then(() => {
      this.album.amend(ids, (one) => ({ boards: [...new Set([...one.boards, board.id])] }));
      tell(t("gallery.put", { n: ids.length, board: board.name }));
      this.emit("cleared");
    }));
  }

  async takeOff() {
    const ids = this.ids, { id } = this.board;
    await trying(this.boards.fill(id, { remove: ids }).then(() => {
      this.album.amend(ids, (one) => ({ boards: one.boards.filter((board) => board !== id) }));
      this.album.drop(ids);
    }));
  }

  async delete() {
    const ids = this.ids, n = ids.length;
    if (!await sureToDelete(n)) return;
    const gone = await trying(this.album.delete(ids));
    if (gone === undefined) return;
    tell(t("gallery.deleted", { n: gone }));
    this.emit("cleared");
    trying(this.boards.load());
  }
}
customElements.define("easel-selected", Selected);

/** Ask before pictures are gone for good. */
export const sureToDelete = (n) =>
  ask({ title: t("gallery.delete.sure", { n }), words: t("gallery.delete.words"), act: t("gallery.delete"), bad: true });
