// One model: its picture, its name, whether it fits, and the click that uses it.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement, styled } from "../element.js";
import { at } from "../api.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { size } from "./library.js";
import { leave, usable, use, used, why } from "./use.js";

class ModelCard extends EaselElement {
  static properties = { model: { attribute: false } };

  static watches = ["fields", "library"];

  render() {
    const { model } = this, reason = why(model);
    return html`<article class="model ${reason ? "misfit" : ""}" data-kind=${model.kind} data-name=${model.name}>
      <button class="shows" aria-label=${t("models.open", { name: model.label })} @click=${() => this.emit("model-opened", model)}>
        ${picture(model)}</button>
      <p class="badges">
        ${model.newer ? html`<span class="badge new">${t("models.badge.newer")}</span>` : nothing}
        <span class="badge">${t(`models.one.${model.kind}`)}</span>
      </p>
      <div class="model-about">
        <h3 title=${model.name}>${model.label}</h3>
        <p class="model-facts">${[model.family_label || model.base_model, size(model.size)].filter(Boolean).join(" · ")}</p>
        ${reason ? html`<p class="why" title=${reason}>${reason}</p>` : nothing}
      </div>
      ${useButton(model)}
    </article>`;
  }
}
customElements.define("easel-model-card", ModelCard);

/** The picture of a model, or one made of its name, in the same space. */
export function picture(model) {
  if (model.preview) return html`<img class="model-preview" src=${at(model.preview)} alt="" loading="lazy" decoding="async">`;
  // The letters are drawn by the stylesheet: they are a picture, and no words.
  return html`<span class="model-preview none" data-letters=${[...model.label].slice(0, 2).join("")}
    ${styled({ "--hue": String(hue(model.name)) })}></span>`;
}

/** Use, or take out again what is used already. */
export function useButton(model, { main = false } = {}) {
  if (!["checkpoint", "lora", "embedding", "vae", "upscaler"].includes(model.kind)) return nothing;
  const is = used(model, store.get("fields"));
  const out = is && model.kind !== "checkpoint";
  return html`<button class="use ${main && !is ? "main" : ""}" aria-pressed=${is} ?disabled=${!usable(model) && !out}
      data-tip=${t(out ? `models.leave.tip.${model.kind}` : `models.use.tip.${model.kind}`)}
      aria-label="${t(is ? `models.used.${model.kind}` : `models.use.${model.kind}`)}: ${model.label}"
      @click=${() => (out ? leave(model) : use(model))}>${t(is ? `models.used.${model.kind}` : `models.use.${model.kind}`)}</button>`;
}

/** The same colour for the same name, every time. */
function hue(name) {
  let sum = 7;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 360;
  return sum;
}
