// The source as large as the stage has room, or the place to drop one.
import { html, nothing } from "../vendor/lit.js";
import { styled } from "../element.js";
import { field } from "../create/fields.js";
import { MODE_ICONS } from "../create/icons.js";
import { t } from "../texts.js";
import { SourceElement } from "./source-element.js";

class SourceView extends SourceElement {
  render() {
    const source = field("source");
    return html`<div class="source-view ${this.over ? "over" : ""}" @dragover=${this.dragged} @dragleave=${this.left} @drop=${this.dropped}>
      ${source ? html`<div class="sheet" ${styled({ "--w": source.width, "--h": source.height })}>
        ${this.address ? html`<img src=${this.address} alt=${source.name} width=${source.width} height=${source.height}>` : nothing}</div>` : invitation()}
    </div>`;
  }
}
customElements.define("easel-source-view", SourceView);

/** What stands on the stage before there is a source. */
export const invitation = () => html`<div class="invite">
  <span class="large" aria-hidden="true">${MODE_ICONS.image}</span>
  <h2>${t("editor.source.invite")}</h2><p class="soft">${t("editor.source.invite.more")}</p>
  <button type="button" class="main" @click=${() => document.getElementById("field-source").click()}>${t("editor.source.choose")}</button></div>`;
