// The three axes: what each varies, by which values, and how many pictures that makes.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { get } from "../api.js";
import { tick } from "../create/choice.js";
import { field, setField, setFields } from "../create/fields.js";
import { saidOf } from "../create/number.js";
import { store } from "../store.js";
import { duration, t } from "../texts.js";
import { axesOf, axisOf, numbersOn, pieces, valuesOn, written } from "./axes.js";
import { secondsFor } from "./pace.js";

const LETTERS = ["x", "y", "z"];
export const tabOf = () => (field("xyz_over") === "image" ? "img2img" : "txt2img");
export const axisNow = (letter) => axisOf(field(`${letter}_type`));
/** Cells of the grid; NaN where a value cannot be. */
export const cells = () => LETTERS.reduce((all, letter) => all * valuesOn(axisNow(letter), field(`${letter}_values`)), 1);

/** Steps of a cell, in the middle of all. */
function steps() {
  const letter = LETTERS.find((one) => axisNow(one).label === "Steps");
  const varied = letter ? numbersOn(axisNow(letter), field(`${letter}_values`)) : [field("steps")];
  return varied.reduce((all, one) => all + one, 0) / varied.length;
}

class XyzFields extends EaselElement {
  static watches = ["fields", "session", "said", "tickets"];

  connectedCallback() {
    super.connectedCallback();
    get("studio/words").then((found) => { store.set("style_names", found.styles); this.requestUpdate(); }, () => { /* they can be typed */ });
  }

  render() {
    return html`${LETTERS.map((letter, place) => html`${this.axis(letter)}${place < 2 ? this.swap(letter, LETTERS[place + 1]) : nothing}`)}
      <p class="soft count-of" role="status">${this.words()}</p>
      <details class="grid-looks"><summary>${t("xyz.grid")}</summary><div class="fields">
        ${["xyz_legend", "xyz_lone", "xyz_sub", "xyz_keep"].map((name) => html`<span class="wide">${tick(name)}</span>`)}
        <easel-number name="xyz_margin" step="2"></easel-number>
      </div></details>`;
  }

  axis(letter) {
    const axis = axisNow(letter), offers = axis.offers?.() ?? [], chosen = pieces(field(`${letter}_values`)), name = `${letter}_values`;
    return html`<fieldset class="axis" data-says=${name}><legend><b>${letter.toUpperCase()}</b></legend>
      <select aria-label=${t("xyz.type", { axis: letter.toUpperCase() })} @change=${(event) => setFields({ [`${letter}_type`]: event.target.value, [name]: undefined })}>
        ${axesOf(tabOf()).map((one) => html`<option value=${one.label} .selected=${one === axis}>${t(`xyz.axis.${one.label}`)}</option>`)}</select>
      ${axis.label === "Nothing" ? nothing : html`
        <input id="field-${name}" aria-label=${t("xyz.values", { axis: letter.toUpperCase() })} data-tip=${t(`xyz.values.${axis.kind}`)} autocomplete="off" spellcheck="false"
          placeholder=${offers.slice(0, 2).map(written).join(", ") || t(`xyz.example.${axis.kind}`)} .value=${field(name)} @input=${(event) => setField(name, event.target.value)}>
        ${offers.length ? html`<div class="chips offers-of">
          <button type="button" class="chip" @click=${() => setField(name, offers.map(written).join(", "))}>${t("xyz.all")}</button>
          ${offers.map((one) => html`<button type="button" class="chip" aria-pressed=${chosen.includes(one)}
            @click=${() => setField(name, (chosen.includes(one) ? chosen.filter((other) => other !== one) : [...chosen, one]).map(written).join(", "))}>${one}</button>`)}
        </div>` : nothing}`}
      ${saidOf(name)}
    </fieldset>`;
  }

  swap(one, other) {
    const words = t("xyz.swap", { one: one.toUpperCase(), other: other.toUpperCase() });
    return html`<button type="button" class="icon swap" aria-label=${words} data-tip=${words} @click=${() => setFields({
      [`${one}_type`]: field(`${other}_type`), [`${one}_values`]: field(`${other}_values`),
      [`${other}_type`]: field(`${one}_type`), [`${other}_values`]: field(`${one}_values`),
    })}>⇅</button>`;
  }

  words() {
    const count = cells();
    if (!count) return t("xyz.none");
    const pictures = count * field("n_iter") * field("batch_size");
    const seconds = secondsFor(pictures, field("width"), field("height"), steps()), words = t("create.pictures", { n: pictures });
    return seconds == null ? words : t("xyz.time", { words, time: duration(seconds) });
  }
}
customElements.define("easel-xyz", XyzFields);
