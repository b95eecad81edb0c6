// The picture that a mode works on: chosen, dropped, pasted, or the one that was on the stage.
import { html, nothing } from "../vendor/lit.js";
import { field, sayOf } from "../create/fields.js";
import { saidOf } from "../create/number.js";
import { shownPicture } from "../create/shown.js";
import { t } from "../texts.js";
import { SourceElement } from "./source-element.js";
import { setSource, sourceOfPicture } from "./sources.js";

class SourceField extends SourceElement {
  static watches = ["fields", "said", "session", "pictures", "shown"];

  render() {
    const source = field("source");
    return html`<fieldset class="field source ${this.over ? "over" : ""}" data-says="source init_images image"
        @dragover=${this.dragged} @dragleave=${this.left} @drop=${this.dropped}>
      <legend>${t("editor.source")}</legend>
      ${source ? this.there(source) : this.empty()}
      <input class="sr" type="file" accept="image/*" tabindex="-1" aria-label=${t("editor.source.choose")} @change=${this.chosen}>
      ${saidOf("source")}
    </fieldset>`;
  }

  empty() {
    const shown = shownPicture();
    return html`<div class="drop">
      <p class="soft">${t("editor.source.drop")}</p>
      <div class="row wrap">
        <button id="field-source" type="button" @click=${this.choose}>${t("editor.source.choose")}</button>
        ${shown ? html`<button type="button" data-tip=${t("editor.source.shown.tip")} @click=${() => setSource(sourceOfPicture(shown))}>${t("editor.source.shown")}</button>` : nothing}
      </div></div>`;
  }

  there(source) {
    return html`<div class="source-there">
      <span class="thumb">${this.address ? html`<img src=${this.address} alt="">` : nothing}</span>
      <span class="what"><b title=${source.name}>${source.name}</b><small>${source.width} × ${source.height}</small></span>
      <button type="button" class="icon" aria-label=${t("editor.source.remove")} data-tip=${t("editor.source.remove")} @click=${() => setSource(null)}>✕</button>
      <span class="row wrap does-source">
        <button id="field-source" type="button" @click=${this.choose}>${t("editor.source.another")}</button>
      </span></div>`;
  }

  lost(error) {
    setSource(null);
    sayOf("source", error.words, true);
  }

  choose() { this.querySelector("input[type=file]").click(); }

  chosen(event) {
    const files = [...event.target.files];
    event.target.value = "";
    this.take(files);
  }
}
customElements.define("easel-source", SourceField);
