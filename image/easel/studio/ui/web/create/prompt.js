// Words for what shall be in the picture, or shall not: a field that grows with them.
import { html, live, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { t } from "../texts.js";

/**
 * `<easel-prompt .value=${words} .kind=${"positive"} .example=${"…"} @input=${…}>`: `input` bubbles with each change, and
 * `value` is then what stands there.
 */
export class Prompt extends EaselElement {
  static properties = { value: {}, kind: {}, example: {} };

  constructor() {
    super();
    this.value = this.example = "";
    this.kind = "positive";
  }

  get name() { return this.kind === "negative" ? "negative_prompt" : "prompt"; }

  render() {
    return html`<div class="prompt field">
      <label for=${this.name}>${t(`create.${this.name}`)}</label>
      <textarea id=${this.name} rows=${this.kind === "negative" ? 2 : 4} spellcheck="false" autocapitalize="off"
        placeholder=${this.example || nothing} data-tip=${t(`create.${this.name}.tip`)} .value=${live(this.value ?? "")}
        @input=${this.typed}></textarea>
      ${this.value ? html`<button type="button" class="icon clear" aria-label=${t("create.clear")} @click=${this.clear}>✕</button>` : nothing}
    </div>`;
  }

  typed(event) { this.value = event.target.value; }

  clear() {
    this.value = "";
    this.dispatchEvent(new Event("input", { bubbles: true }));
    this.querySelector("textarea").focus();
  }
}
customElements.define("easel-prompt", Prompt);
