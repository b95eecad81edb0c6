// What a picture was drawn from: its words, its numbers, and the text as it stands in the file.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { wordsOf } from "../remarks.js";
import { language, t } from "../texts.js";
import { copy } from "./copy.js";

const NUMBERS = ["steps", "cfg_scale", "distilled_cfg_scale", "sampler_name", "scheduler", "seed", "denoising_strength", "hr_scale", "hr_upscaler"];

class Parameters extends EaselElement {
  static properties = { picture: { attribute: false }, said: { attribute: false } };

  render() {
    const { picture, said } = this, request = said?.request ?? {};
    const prompt = request.prompt ?? picture.prompt;
    return html`
      ${prompt ? html`<section><h3>${t("gallery.prompt")}</h3><p class="said-prompt">${prompt}</p>
        <button @click=${() => copy(prompt)}>${t("gallery.copy")}</button></section>` : nothing}
      ${request.negative_prompt ? html`<section><h3>${t("gallery.negative")}</h3><p class="said-prompt">${request.negative_prompt}</p></section>` : nothing}
      <dl>
        ${this.line("size", picture.width ? `${picture.width} × ${picture.height}` : null)}
        ${this.line("checkpoint", picture.checkpoint)}
        ${NUMBERS.map((name) => this.line(name, request[name] ?? (name === "seed" ? picture.seed : null)))}
        ${this.line("at", new Date(picture.at).toLocaleString(language.code, { dateStyle: "medium", timeStyle: "short" }))}
      </dl>
      ${said?.remarks.length ? html`<ul class="notes soft">${said.remarks.map((one) => html`<li>${wordsOf(one)}</li>`)}</ul>` : nothing}
      ${said?.text ? html`<details><summary>${t("gallery.as-text")}</summary><pre tabindex="0">${said.text}</pre>
        <button @click=${() => copy(said.text)}>${t("gallery.copy")}</button></details>` : nothing}`;
  }

  line(name, value) {
    return value == null || value === "" ? nothing : html`<div><dt>${t(`gallery.parameter.${name}`)}</dt><dd>${value}</dd></div>`;
  }
}
customElements.define("easel-parameters", Parameters);
