// A number with its name, its range, and what is said of it.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { field, range, said, setField } from "./fields.js";

/**
 * `<easel-number name="steps" step="1" slider upto="60">`: the words are `create.NAME` and `create.NAME.tip`. A number out
 * of range stays as it was typed, and is told about. The slider ends where numbers are rarely wanted, the field takes more.
 */
class NumberField extends EaselElement {
  static watches = ["fields", "session", "said"];
  static properties = { name: {}, step: { type: Number }, slider: { type: Boolean }, upto: { type: Number } };

  constructor() {
    super();
    this.step = 1;
  }

  render() {
    const value = field(this.name), [least, most] = range(this.name) ?? [], note = said(this.name);
    return html`<div class="field number ${this.slider ? "with-slider" : ""}" data-says=${this.name}>
      <label for="field-${this.name}">${t(`create.${this.name}`)}</label>
      <input id="field-${this.name}" type="number" inputmode="decimal" min=${least ?? nothing} max=${most ?? nothing}
        step=${this.step} data-tip=${t(`create.${this.name}.tip`)} aria-invalid=${note?.bad ? "true" : "false"}
        aria-errormessage=${note?.bad ? `said-${this.name}` : nothing} @input=${this.typed} @change=${this.left}>
      ${this.slider ? html`<input type="range" min=${least} max=${this.upto ?? most} step=${this.step} .value=${String(value)}
        tabindex="-1" aria-hidden="true" @input=${this.typed}>` : nothing}
      ${saidOf(this.name)}
    </div>`;
  }

  updated() {
    // What is being typed is not overwritten: "" on the way from 20 to 35 would come back as 20.
    const input = this.querySelector("input[type=number]"), value = String(field(this.name));
    if (document.activeElement !== input || input.value !== "" && Number(input.value) !== field(this.name)) input.value = value;
  }

  typed(event) { setField(this.name, event.target.value === "" ? undefined : Number(event.target.value)); }

  left(event) {
    if (event.target.value === "") event.target.value = String(field(this.name));
  }
}
customElements.define("easel-number", NumberField);

/** What is said of a field, under it. Words come where they are missed least: in the flow, below the field. */
export function saidOf(name) {
  const note = store.get("session") ? said(name) : null;
  return note ? html`<p id="said-${name}" class=${note.bad ? "wrong" : "said"} role="alert">${note.words}</p>` : nothing;
}
