// A new model: the address of a page of Civitai, of a hub or of the web, or files of this device.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { post } from "../api.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { upload } from "./upload.js";
import "./offer.js";

class AddModel extends EaselElement {
  static watches = ["model-jobs"];

  constructor() {
    super();
    Object.assign(this, { card: null, address: "", asking: false, trouble: "" });
  }

  render() {
    return html`<section class="add-model" aria-label=${t("models.add")}>
      <form class="add-line" @submit=${this.ask}>
        <label class="field" data-tip=${t("models.add.address.tip")}><span>${t("models.add.address")}</span>
          <input name="address" type="text" autocomplete="off" spellcheck="false" inputmode="url" required maxlength="2000"
                 placeholder="https://civitai.com/models/…  ·  hf://org/repo/file  ·  https://…"
                 .value=${this.address} @input=${(event) => { this.address = event.target.value; }}></label>
        <button class="main" ?disabled=${this.asking}>${t(this.asking ? "models.asking" : "models.add.ask")}</button>
        <span class="soft or">${t("models.add.or")}</span>
        <label class="button files" data-tip=${t("models.add.files.tip")}>${t("models.add.files")}
          <input class="sr" type="file" multiple accept=".safetensors,.gguf" @change=${this.files}></label>
      </form>
      ${this.trouble ? html`<p class="wrong" role="alert">${this.trouble}</p>` : nothing}
      ${this.card ? html`<easel-offer .card=${this.card} .address=${this.askedFor} @offer-closed=${() => { this.card = null; this.requestUpdate(); }}></easel-offer>` : nothing}
    </section>`;
  }

  files(event) {
    upload(event.target.files);
    event.target.value = "";
  }

  ask(event) {
    event.preventDefault();
    this.look(this.address);
  }

  /** Show what is at an address. */
  async look(address) {
    Object.assign(this, { address, asking: true, trouble: "" });
    this.requestUpdate();
    try {
      this.card = await post("studio/models/info", { url: address });
      this.askedFor = address;
    } catch (error) {
      this.card = null;
      this.trouble = error.words;
    }
    this.asking = false;
    this.requestUpdate();
    await this.updateComplete;
    this.querySelector("easel-offer")?.scrollIntoView({ block: "nearest" });
  }
}
customElements.define("easel-add-model", AddModel);
