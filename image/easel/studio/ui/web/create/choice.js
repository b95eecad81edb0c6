// A choice among names, with what is said of it.
import { html, nothing } from "../vendor/lit.js";
import { t } from "../texts.js";
import { field, said, setField } from "./fields.js";
import { saidOf } from "./number.js";

/**
 * A labelled `<select>` for a field. A value that is not among `names`, as another endpoint's picture may bring it, stays
 * visible.
 * @param {string} name of the field; its words are `create.NAME` and `create.NAME.tip`
 * @param {(string|{name: string, label: string})[]} names
 */
export function choice(name, names) {
  const value = field(name) ?? "";
  const options = names.map((one) => (typeof one === "string" ? { name: one, label: one } : one));
  if (value && !options.some((one) => one.name === value)) options.push({ name: value, label: value });
  const bad = said(name)?.bad;
  return html`<div class="field" data-says=${name}>
    <label for="field-${name}">${t(`create.${name}`)}</label>
    <select id="field-${name}" data-tip=${t(`create.${name}.tip`)} aria-invalid=${bad ? "true" : "false"}
        aria-errormessage=${bad ? `said-${name}` : nothing} @change=${(event) => setField(name, event.target.value)}>
      ${options.map((one) => html`<option value=${one.name} .selected=${one.name === value}>${one.label}</option>`)}
    </select>
    ${saidOf(name)}
  </div>`;
}

/** A labelled checkbox for a field. */
export function tick(name) {
  return html`<label class="tick" data-tip=${t(`create.${name}.tip`)}><input type="checkbox" .checked=${!!field(name)}
    @change=${(event) => setField(name, event.target.checked)}> ${t(`create.${name}`)}</label>`;
}
