// How the picture is drawn: sampler, schedule, steps, how closely the words are followed, which VAE.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { choice, tick } from "./choice.js";
import { encoders } from "./encoders.js";
import { checkpoint, takes } from "./fields.js";
import { notTaken } from "./not-taken.js";

class Sampling extends EaselElement {
  static watches = ["fields", "session", "said"];

  render() {
    const session = store.get("session"), choices = session?.choices ?? {};
    return html`<div class="fields">
      ${choice("sampler_name", checkpoint()?.samplers ?? (choices.samplers ?? []).map((one) => one.name))}
      ${choice("scheduler", (choices.schedulers ?? []).map((one) => ({ name: one.label ?? one.name, label: one.label ?? one.name })))}
      <easel-number name="steps" slider upto="60"></easel-number>
      <easel-number name="cfg_scale" step="0.5" slider upto="20"></easel-number>
      ${checkpoint()?.defaults?.distilled_cfg_scale == null ? nothing : html`<easel-number name="distilled_cfg_scale" step="0.1" slider upto="10"></easel-number>`}
      ${checkpoint()?.takes_clip_skip ? html`<easel-number name="clip_skip"></easel-number>` : nothing}
      ${choice("vae", ["Automatic", "None", ...(session?.vaes ?? [])])}
      ${encoders()}
      <easel-number name="batch_size"></easel-number>
      ${takes("cache") ? choice("cache", ["", "deep"].map((name) => ({ name, label: t(`create.cache.${name || "off"}`) }))) : nothing}
      ${takes("tiling") ? tick("tiling") : notTaken("tiling", "cache")}
    </div>`;
  }
}
customElements.define("easel-sampling", Sampling);
