// A model with all that is known of it, at the side of the place: words, notes, name, picture, a newer version.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { del, post } from "../api.js";
import { wordsOf } from "../remarks.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { tell } from "../notices.js";
import { picture, useButton } from "./card.js";
import { load, size } from "./library.js";
import { hasWord, toggleWord, use, why } from "./use.js";
import "./detail-edit.js";

class ModelDetail extends EaselElement {
  static watches = ["library", "fields"];

  connectedCallback() {
    super.connectedCallback();
    this.place = this.closest(".models");
    this.hear(this.place, "model-opened", (event) => this.open(event.detail));
  }

  async open(model) {
    this.key = keyOf(model);
    this.newest = null;
    this.requestUpdate();
    await this.updateComplete;
    this.querySelector("dialog").showModal();
  }

  /** As the library has it now: somebody else may have changed it. */
  get model() {
    return store.get("library")?.models.find((one) => keyOf(one) === this.key)
      ?? (this.renamed && keyOf(this.renamed) === this.key ? this.renamed : undefined);
  }

  render() {
    const { model } = this;
    return html`<dialog class="model-detail" aria-label=${model?.label ?? t("models.detail")} @click=${this.outside} @close=${() => { this.key = null; this.requestUpdate(); }}>
      ${model ? this.shown(model) : html`<p>${t("models.gone")}</p>`}
      <form method="dialog"><button class="icon close" aria-label=${t("close")}>✕</button></form>
    </dialog>`;
  }

  outside(event) {
    if (event.target === event.currentTarget) event.target.close();
  }

  shown(model) {
    const reason = why(model);
    return html`
      <div class="head">
        ${picture(model)}
        <div>
          <p class="soft">${t(`models.one.${model.kind}`)}</p>
          <h2 tabindex="-1" autofocus>${model.label}</h2>
          <p class="model-facts">${[...new Set([model.family_label, model.base_model, size(model.size)])].filter(Boolean).join(" · ")}</p>
          ${reason ? html`<p class="said">${reason}</p>` : nothing}
          <div class="row wrap" @click=${this.close}>
            ${useButton(model, { main: true })}
            ${model.kind === "embedding" && model.fits ? html`<button @click=${() => use(model, { negative: true })}>${t("models.use.negative")}</button>` : nothing}
          </div>
        </div>
      </div>
      ${model.trained_words.length ? html`
        <h3>${t("models.trained")}</h3>
        <p class="model-words" role="group" aria-label=${t("models.trained")}>${model.trained_words.map((one) => html`
          <button class="chip" aria-pressed=${hasWord(one)} data-tip=${t("models.word.tip")} @click=${() => toggleWord(one)}>${one}</button>`)}</p>` : nothing}
      ${model.description ? html`<details><summary>${t("models.description")}</summary><p class="model-prose" tabindex="0">${model.description}</p></details>` : nothing}
      <dl class="all">
        ${this.line("models.path", `${model.folder === "/" ? "" : `${model.folder}/`}${model.name.split("/").pop()}`)}
        ${this.line("models.formerly", model.formerly.join(", "))}
        ${this.line("models.from", [model.model, model.version].filter(Boolean).join(" · "), model.page)}
        ${this.line("models.training", wordsOf(model.training_remark))}
        ${this.line("models.came-at", new Date(model.modified * 1000).toLocaleDateString(document.documentElement.lang, { dateStyle: "medium" }))}
        ${this.line("models.hash", model.sha256 ? `${model.sha256.slice(0, 10)}…` : "")}
      </dl>
      ${this.newer(model)}
      ${model.may_change ? html`<easel-model-edit .model=${model} @renamed=${this.follow}></easel-model-edit>
        ${this.deletion(model)}` : html`<p class="soft">${t(store.get("library").may_change ? "models.elsewhere" : "models.visitor")}</p>`}`;
  }

  /** Under its new name, before the library tells it. */
  follow({ detail }) {
    this.renamed = detail;
    this.key = keyOf(detail);
    this.requestUpdate();
  }

  line(key, words, address = "") {
    if (!words) return nothing;
    const linked = /^https?:\/\//.test(address);
    return html`<div><dt>${t(key)}</dt><dd>${linked
      ? html`<a href=${address} target="_blank" rel="noopener noreferrer">${words}</a>` : words}</dd></div>`;
  }

  /** A newer version: known from the last look at all, or asked for now. */
  newer(model) {
    if (!model.address || !store.get("library").may_change) return nothing;
    const found = model.newer ?? this.newest;
    return html`<div class="newer row wrap" role="status">
      ${found?.address ? html`<span>${t("models.newer.is", { version: found.version })}</span>
          <button class="main" @click=${() => this.lookAt(found.address)}>${t("models.newer.look")}</button>`
        : html`<button ?disabled=${this.newest === "asking"} data-tip=${t("models.newer.check.tip")} @click=${() => this.check(model)}>
            ${t(this.newest === "asking" ? "models.asking" : "models.newer.check")}</button>
          ${this.newest === "none" ? html`<span class="soft">${t("models.newer.none")}</span>` : nothing}`}
    </div>`;
  }

  async check(model) {
    this.newest = "asking";
    this.requestUpdate();
    try {
      const card = await post("studio/models/info", { url: model.address });
      const newest = card.versions[0];
      this.newest = !newest || newest.id === model.version_id ? "none"
        : { version: newest.name, address: `${card.address}?version=${newest.id}` };
    } catch (error) {
      this.newest = null;
      tell(error.words, { bad: true });
    }
    this.requestUpdate();
  }

  lookAt(address) {
    this.close();
    this.place.querySelector("easel-add-model").look(address);
  }

  close() { this.querySelector("dialog.model-detail").close(); }

  deletion(model) {
    return html`<details class="deletion"><summary>${t("models.delete")}</summary>
      <p>${t("models.delete.sure", { name: model.label })}</p>
      <button class="bad" @click=${() => this.delete(model)}>${t("models.delete.yes")}</button>
    </details>`;
  }

  async delete(model) {
    try {
      await del(`files/content?path=${encodeURIComponent(model.path)}`);
      this.close();
      tell(t("models.deleted", { name: model.label }));
      await load();
    } catch (error) {
      tell(error.words, { bad: true });
    }
  }
}
customElements.define("easel-model-detail", ModelDetail);

const keyOf = (model) => `${model.kind}/${model.name}`;
