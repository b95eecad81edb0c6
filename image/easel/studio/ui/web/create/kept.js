// What a text or picture said that no field of the page has: options as A1111 keeps them, settings of the second pass.
import { html, nothing } from "../vendor/lit.js";
import { t } from "../texts.js";
import { field, setField } from "./fields.js";
import { saidOf } from "./number.js";

/** A chip for each, and a button that takes it out. */
export function keptFields() {
  const { override_settings: options = {}, ...rest } = field("kept"), named = [...Object.entries(rest), ...Object.entries(options)];
  if (!named.length) return nothing;
  return html`<fieldset class="kept" data-says=${named.map(([name]) => name).join(" ")}><legend>${t("create.kept")}</legend>
    <ul class="chips">${named.map(([name, value]) => html`<li class="chip"><span>${name}: ${String(value)}</span>
      <button type="button" class="icon" aria-label=${t("create.kept.remove", { name })} data-tip=${t("create.kept.remove", { name })}
        @click=${() => takeOut(name)}>✕</button></li>`)}</ul>
    ${named.map(([name]) => saidOf(name))}</fieldset>`;
}

function takeOut(name) {
  const without = (all) => Object.fromEntries(Object.entries(all).filter(([one]) => one !== name));
  const { override_settings: options = {}, ...rest } = field("kept"), left = without(options), more = without(rest);
  const all = { ...more, ...(Object.keys(left).length ? { override_settings: left } : {}) };
  setField("kept", Object.keys(all).length ? all : undefined);
}
