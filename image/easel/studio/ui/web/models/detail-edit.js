// What people write of a model, its name and folder, and its picture: for everybody of this endpoint.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { at, patch, post, put } from "../api.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { tell } from "../notices.js";
import { folders, load } from "./library.js";

const PROMPTED = new Set(["lora", "checkpoint", "embedding"]);

class ModelEdit extends EaselElement {
  static properties = { model: { attribute: false } };

  static watches = ["pictures"];

  render() {
    const { model } = this;
    return html`
      <form class="model-notes" @submit=${this.write}>
        ${PROMPTED.has(model.kind) && model.kind !== "embedding" ? html`
          <label class="field" data-tip=${t("models.words.tip")}><span>${t("models.words")}</span>
            <input name="words" maxlength="1000" .value=${model.words} placeholder=${model.trained_words[0] ?? ""}></label>
          <label class="field" data-tip=${t("models.negative.tip")}><span>${t("models.negative")}</span>
            <input name="negative_words" maxlength="1000" .value=${model.negative_words}></label>` : nothing}
        ${model.kind === "lora" ? html`
          <label class="field" data-tip=${t("models.weight.tip")}><span>${t("models.weight")}</span>
            <input name="weight" type="number" min="-10" max="10" step="0.05" .value=${String(model.weight || 1)}></label>` : nothing}
        <label class="field" data-tip=${t("models.notes.tip")}><span>${t("models.notes")}</span>
          <textarea name="notes" rows="3" maxlength="4000" .value=${model.notes}></textarea></label>
        <div class="row"><button>${t("models.save")}</button></div>
      </form>
      <details><summary>${t("models.rename")}</summary>
        <form class="rename" @submit=${this.rename}>
          <label class="field" data-tip=${t("models.new-name.tip")}><span>${t("models.new-name")}</span>
            <input name="new_name" required maxlength="180" .value=${model.label}></label>
          <label class="field" data-tip=${t("models.folder-of.tip")}><span>${t("models.folder-of")}</span>
            <input name="folder" maxlength="400" list="models-folders" .value=${model.folder}></label>
          <datalist id="models-folders">${folders(store.get("library").models, model.kind).map((one) => html`<option value=${one}></option>`)}</datalist>
          <p class="soft">${t("models.rename.means")}</p>
          <button>${t("models.rename.do")}</button>
        </form>
      </details>
      ${this.pictures()}`;
  }

  /** One's own last pictures, one of which may stand for the model. */
  pictures() {
    const own = store.get("pictures").slice(0, 12);
    return html`<details><summary>${t("models.preview")}</summary>
      ${own.length ? html`<p class="soft">${t("models.preview.means")}</p>
        <div class="choices">${own.map((one) => html`
          <button aria-label=${t("models.preview.take", { prompt: (one.prompt ?? "").slice(0, 60) })} @click=${() => this.show(one)}>
            <img src=${at(one.small)} alt="" loading="lazy"></button>`)}</div>` : html`<p class="soft">${t("models.preview.none")}</p>`}
    </details>`;
  }

  async write(event) {
    event.preventDefault();
    const { model } = this, form = new FormData(event.target);
    const said = Object.fromEntries(form);
    // 1 is what a LoRA has that nobody said anything of.
    if ("weight" in said) said.weight = Number(said.weight) === 1 ? 0 : Number(said.weight);
    await this.tried(() => patch("studio/models/files", { type: model.kind, name: model.name, ...said }), t("models.saved"));
  }

  async rename(event) {
    event.preventDefault();
    const { model } = this, said = Object.fromEntries(new FormData(event.target));
    const asked = { type: model.kind, name: model.name, folder: said.folder || "/", new_name: said.new_name.trim() };
    await this.tried(async () => this.emit("renamed", await post("studio/models/files/rename", asked)), t("models.renamed"));
  }

  async show(one) {
    const { model } = this;
    await this.tried(() => put("studio/models/files/preview", { type: model.kind, name: model.name, picture: one.id }), t("models.preview.set"));
  }

  async tried(work, words) {
    try {
      await work();
      await load();
      tell(words);
    } catch (error) {
      tell(error.words, { bad: true });
    }
  }
}
customElements.define("easel-model-edit", ModelEdit);
