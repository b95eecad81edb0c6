// The source as large as the stage has room, or the place to drop one.
import { html, nothing } from "../vendor/lit.js";
import { at } from "../api.js";
import { styled } from "../element.js";
import { field } from "../create/fields.js";
import { MODE_ICONS } from "../create/icons.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { SourceElement } from "./source-element.js";
import { setSource, sourceOfPicture } from "./sources.js";

class SourceView extends SourceElement {
  static watches = ["fields", "pictures"];

  render() {
    const source = field("source");
    return html`<div class="source-view ${this.over ? "over" : ""}" @dragover=${this.dragged} @dragleave=${this.left} @drop=${this.dropped}>
      ${source ? html`<div class="sheet" ${styled({ "--w": source.width, "--h": source.height })}>
        ${this.address ? html`<img src=${this.address} alt=${source.name} width=${source.width} height=${source.height}>` : nothing}</div>` : invitation()}
    </div>`;
  }
}
customElements.define("easel-source-view", SourceView);

const OFFERED = 4;

/** What stands on the stage before there is a source: a way to one's own files, and the newest pictures. */
export function invitation() {
  const newest = store.get("pictures").slice(0, OFFERED);
  return html`<div class="invite">
    <span class="large" aria-hidden="true">${MODE_ICONS.image}</span>
    <h2>${t("editor.source.invite")}</h2><p class="soft">${t("editor.source.invite.more")}</p>
    <button type="button" class="main" @click=${() => document.getElementById("field-source").click()}>${t("editor.source.choose")}</button>
    ${newest.length ? html`<p class="soft">${t("editor.source.invite.newest")}</p>
      <ul class="newest">${newest.map((one) => html`<li><button type="button" aria-label=${t("editor.source.invite.take", { name: one.prompt || one.id })}
        @click=${() => setSource(sourceOfPicture(one))}><img src=${at(one.small)} alt=""></button></li>`)}</ul>` : nothing}</div>`;
}
