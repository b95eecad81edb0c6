// What is on its way: downloads of everybody, and the files that this device sends.
import { html, nothing, repeat } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { FINAL } from "./jobs.js";
import { use } from "./use.js";
import { forget, resend, stop } from "./upload.js";
import "./transfer.js";

const MOST = 8, NEWS_SECONDS = 3600, KEPT = 100;

class ModelTransfers extends EaselElement {
  static watches = ["model-jobs", "uploads", "library", "offer-job", "dismissed"];

  render() {
    const uploads = store.get("uploads") ?? [], jobs = this.jobs();
    if (!uploads.length && !jobs.length) return nothing;
    return html`<section class="transfers" aria-label=${t("models.transfers")}>
      <ul>
        ${repeat(uploads, (one) => `up-${one.id}`, (one) => html`<li>${this.upload(one)}
          ${one.state === "going" ? nothing : this.dismissal(() => forget(one))}</li>`)}
        ${repeat(jobs, (one) => one.id, (one) => html`<li><easel-transfer .job=${one}></easel-transfer>
          ${FINAL.has(one.state) ? this.dismissal(() => this.dismiss(one)) : nothing}</li>`)}
      </ul>
    </section>`;
  }

  /** All that go on, and of those that ended what is still news: not what was begun anew since. */
  jobs() {
    const recent = Date.now() / 1000 - NEWS_SECONDS, all = store.get("model-jobs") ?? [];
    const anew = (job, place) => (job.state === "failed" || job.state === "cancelled")
      && all.slice(0, place).some((one) => one.kind === job.kind && one.title === job.title);
    return all.filter((one, place) => !anew(one, place))
      .filter((one) => !store.get("dismissed").includes(one.id) && one.id !== store.get("offer-job") && (!FINAL.has(one.state) || (one.finished ?? 0) > recent))
      .slice(0, MOST);
  }

  /** Off this device's list, for good: with the tickets that were taken off theirs. */
  dismiss(job) {
    store.set("dismissed", [...store.get("dismissed"), job.id].slice(-KEPT));
  }

  dismissal(act) {
    return html`<button class="icon" aria-label=${t("models.dismiss")} @click=${act}>✕</button>`;
  }

  upload(row) {
    const model = row.state === "done" && store.get("library")?.models.find((one) => row.path.endsWith(`/${one.name}`));
    return html`<div class="transfer ${row.state}">
      <b>${row.name}</b>
      ${row.state === "going" ? html`<progress max="1" aria-label=${row.name} .value=${row.part}></progress>` : nothing}
      <span class=${row.state === "failed" ? "wrong" : "soft"}>${row.words}</span>
      ${row.state === "going" ? html`<button @click=${() => stop(row)}>${t("models.cancel")}</button>`
        : row.state === "done" ? (model ? html`<button class="main" @click=${() => use(model)}>${t("models.use-now")}</button>` : html`<span></span>`)
          : html`<button @click=${() => resend(row)}>${t("models.again")}</button>`}
    </div>`;
  }
}
customElements.define("easel-model-transfers", ModelTransfers);
