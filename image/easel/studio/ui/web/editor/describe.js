// What is in the source, in words: by the networks that the endpoint has files for.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { post } from "../api.js";
import { field, setField } from "../create/fields.js";
import { tell } from "../notices.js";
import { wordsOf } from "../remarks.js";
import { t } from "../texts.js";
import { dataOf, idOf } from "./sources.js";

/** A1111's names for them, and whether they make a sentence or tags. */
const MODELS = { clip: "sentence", deepdanbooru: "tags" };

class Describe extends EaselElement {
  static watches = ["fields"];
  static properties = { busy: { state: true }, words: { state: true }, wrong: { state: true }, said: { state: true } };

  constructor() {
    super();
    this.busy = false;
    this.words = this.wrong = this.said = "";
  }

  willUpdate() {
    const id = idOf(field("source"));
    if (id === this.sourceId) return;
    this.sourceId = id;
    this.words = this.wrong = this.said = "";
  }

  render() {
    if (!field("source")) return nothing;
    return html`<div class="describe" role="group" aria-label=${t("editor.describe")}>
      <div class="row wrap"><span class="soft">${t("editor.describe")}</span>
        ${Object.entries(MODELS).map(([model, kind]) => html`<button type="button" ?disabled=${this.busy} @click=${() => this.ask(model)}>${t(`editor.describe.${kind}`)}</button>`)}
      </div>
      ${this.busy ? html`<p class="soft" role="status">${t("loading")}</p>` : nothing}
      ${this.wrong ? html`<p class="wrong" role="alert">${this.wrong}</p>` : nothing}
      ${this.words ? html`<p class="words">${this.words}</p>
        <div class="row wrap"><button type="button" @click=${() => this.use()}>${t("editor.describe.use")}</button></div>` : nothing}
      ${this.said ? html`<p class="soft">${this.said}</p>` : nothing}
    </div>`;
  }

  async ask(model) {
    const source = field("source"), mine = () => idOf(field("source")) === idOf(source);
    this.busy = true;
    this.words = this.wrong = this.said = "";
    try {
      const { caption, remarks = [] } = await post("sdapi/v1/interrogate", { image: await dataOf(source), model });
      if (!mine()) return;
      this.words = caption;
      this.said = remarks.map(wordsOf).join("\n");
      this.wrong = caption ? "" : t("editor.describe.nothing");
    } catch (error) {
      if (mine()) this.wrong = error.words;
    } finally {
      this.busy = false;
    }
  }

  use() {
    setField("prompt", this.words);
    tell(t("editor.describe.used"));
  }
}
customElements.define("easel-describe", Describe);
