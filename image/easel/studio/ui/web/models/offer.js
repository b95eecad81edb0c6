// What is at an address, before it comes in: who made it, what is allowed, which version, file and folder.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { at, get } from "../api.js";
import { wordsOf } from "../remarks.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { FINAL, start } from "./jobs.js";
import { KINDS, size } from "./library.js";
import "./transfer.js";

const NEW = "\n";

class Offer extends EaselElement {
  static properties = { card: { attribute: false }, address: { attribute: false } };

  static watches = ["model-jobs"];

  disconnectedCallback() {
    super.disconnectedCallback();
    this.follow(null);
  }

  /** Show this download here, and not in the list below a second time. */
  follow(job) {
    this.job = job;
    store.set("offer-job", job);
  }

  willUpdate(changed) {
    if (!changed.has("card")) return;
    const { card } = this;
    Object.assign(this, { version: String(card.version), kind: card.kind ?? "", folder: "/", fresh: "", folders: ["/"], trouble: "" });
    this.choose(card.version);
    this.askFolders();
  }

  /** The version that is chosen; none where a source knows only files. */
  get chosen() { return this.card.versions.find((one) => String(one.id) === this.version); }

  choose(version) {
    this.version = String(version);
    const files = this.chosen?.files ?? [];
    const best = files.findIndex((one) => one.primary && !one.problem);
    this.file = String(best >= 0 ? best : files.findIndex((one) => !one.problem));
    this.follow(null);
    this.requestUpdate();
  }

  async askFolders() {
    const { kind } = this;
    try {
      const found = await get(`studio/models/folders?type=${kind || "checkpoint"}`);
      if (kind === this.kind) this.folders = found.folders;
    } catch (error) { this.trouble = error.words; }
    this.requestUpdate();
  }

  render() {
    const { card } = this, one = this.chosen;
    return html`<article class="offer" aria-label=${card.name}>
      ${this.previews(one)}
      <div class="told">
        <h3>${/^https?:\/\//.test(card.page) ? html`<a href=${card.page} target="_blank" rel="noopener noreferrer">${card.name}</a>` : card.name}</h3>
        <p class="soft">${[card.type, card.creator ? t("models.by", { creator: card.creator }) : "", card.mature ? t("models.mature") : "", one?.base_model, one?.published]
          .filter(Boolean).join(" · ")}</p>
        ${one?.trained_words.length ? html`<p class="model-words">${t("models.trained")}: ${one.trained_words.map((each) => html`<span class="chip">${each}</span> `)}</p>` : nothing}
        ${one?.early_access ? html`<p class="said">${t("models.early")}</p>` : nothing}
        ${card.licence.length ? html`<details><summary>${t("models.licence")}</summary>
          <ul class="licence">${card.licence.map((each, place) => html`<li data-allowed=${String(each.allowed)}>${t(`models.licence.${place}`)}: ${t(`models.licence.is.${each.allowed}`)}</li>`)}</ul></details>` : nothing}
        ${card.description || one?.description ? html`<details open><summary>${t("models.description")}</summary>
          <p class="model-prose" tabindex="0">${[one?.description, card.description].filter(Boolean).join("\n\n")}</p></details>` : nothing}
      </div>
      ${this.choices(one)}
      <button class="icon close" aria-label=${t("close")} @click=${() => this.emit("offer-closed")}>✕</button>
    </article>`;
  }

  previews(one) {
    const pictures = one?.pictures.slice(0, 3) ?? [], { mature } = store.get("settings");
    if (!pictures.length) return html`<div class="previews none"></div>`;
    return html`<div class="previews">
      ${pictures.map((each) => html`<img width="120" height="160" loading="lazy" class=${each.mature && !mature ? "blurred" : ""}
        src=${at(`studio/models/previews/${each.key}?mature=${Boolean(mature)}`)}
        alt=${t(each.mature && !mature ? "models.preview.blurred" : "models.preview")}>`)}
      ${pictures.some((each) => each.mature) ? html`<label class="tick"><input type="checkbox" .checked=${Boolean(mature)}
        @change=${(event) => { store.patch("settings", { mature: event.target.checked }); this.requestUpdate(); }}>${t("models.mature.show")}</label>` : nothing}
    </div>`;
  }

  choices(one) {
    const { card } = this, problem = this.problem(one);
    return html`<form class="choose" @submit=${this.download}>
      <h4>${t("models.choose")}</h4>
      ${card.versions.length ? html`
        <label class="field" data-tip=${t("models.version.tip")}><span>${t("models.version")}</span>
          <select name="version" @change=${(event) => this.choose(event.target.value)}>${card.versions.map((each) => html`
            <option value=${each.id} ?selected=${String(each.id) === this.version}>${[each.name, each.base_model, each.early_access ? t("models.early.short") : ""].filter(Boolean).join(" · ")}</option>`)}</select></label>
        <label class="field" data-tip=${t("models.file.tip")}><span>${t("models.file")}</span>
          <select name="file" @change=${(event) => { this.file = event.target.value; this.requestUpdate(); }}>${one.files.map((each, place) => html`
            <option value=${place} ?disabled=${Boolean(each.problem)} ?selected=${String(place) === this.file}>${described(each)}</option>`)}</select></label>` : nothing}
      <label class="field" data-tip=${t("models.type.tip")}><span>${t("models.type")}</span>
        <select name="type" @change=${(event) => { this.kind = event.target.value; this.askFolders(); }}>
          <option value="" ?selected=${!this.kind}>${t("models.type.file")}</option>
          ${KINDS.map((each) => html`<option value=${each} ?selected=${each === this.kind}>${t(`models.one.${each}`)}</option>`)}</select></label>
      <label class="field" data-tip=${t("models.folder-into.tip")}><span>${t("models.folder-into")}</span>
        <select name="folder" @change=${(event) => { this.folder = event.target.value; this.requestUpdate(); }}>
          ${this.folders.map((each) => html`<option value=${each} ?selected=${each === this.folder}>${each}</option>`)}
          <option value=${NEW} ?selected=${this.folder === NEW}>${t("models.folder.new")}</option></select></label>
      ${this.folder === NEW ? html`<label class="field"><span>${t("models.folder.new-name")}</span>
        <input name="new_folder" required maxlength="400" placeholder="anime/soft" .value=${this.fresh} @input=${(event) => { this.fresh = event.target.value; }}></label>` : nothing}
      ${problem ? html`<p class="said">${problem}</p>` : nothing}
      ${this.trouble ? html`<p class="wrong" role="alert">${this.trouble}</p>` : nothing}
      ${this.progress(problem)}
    </form>`;
  }

  /** The button, and in its place how far the download is, and what to do with what came. */
  progress(problem) {
    const job = this.job && (store.get("model-jobs") ?? []).find((each) => each.id === this.job);
    if (job && !(FINAL.has(job.state) && job.state !== "done")) return html`<easel-transfer .job=${job}></easel-transfer>`;
    return html`${job ? html`<easel-transfer .job=${job}></easel-transfer>` : nothing}
      <button class="main" ?disabled=${Boolean(problem)}>${t("models.download")}</button>`;
  }

  /** Why nothing here can be downloaded; "" where it can. */
  problem(one) {
    if (!this.card.versions.length) return "";
    if (!one?.files.length) return t("models.no-files");
    const file = one.files[Number(this.file)];
    return file && !file.problem ? "" : t("models.no-file", { why: wordsOf(one.files[0].remark) });
  }

  async download(event) {
    event.preventDefault();
    const { card } = this, file = this.chosen?.files[Number(this.file)];
    // A VAE of a checkpoint goes where VAEs go, unless somebody chose otherwise.
    const said = card.kind && !(file?.type === "VAE" && this.kind === "vae") ? card.kind : "";
    this.trouble = "";
    try {
      const job = await start("downloads", {
        url: file ? file.address : card.source === "civitai" ? card.address : this.address,
        folder: (this.folder === NEW ? this.fresh.trim() : this.folder) || "/",
        type: this.kind && this.kind !== said ? this.kind : null,
      });
      this.follow(job.id);
    } catch (error) { this.trouble = error.words; }
    this.requestUpdate();
  }
}
customElements.define("easel-offer", Offer);

const described = (file) => [
  file.name, file.size ? size(file.size) : "", file.format, file.pruned, file.precision,
  file.problem ? wordsOf(file.remark) : (file.scan === "clean" ? t("models.scanned") : t("models.scan-is", { scan: file.scan })),
].filter(Boolean).join(" · ");
