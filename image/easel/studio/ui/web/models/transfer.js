// One download: how far it is, and what can be done about it.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { wordsOf } from "../remarks.js";
import { t, duration } from "../texts.js";
import { again, broughtBy, cancel, FINAL } from "./jobs.js";
import { size } from "./library.js";
import { use } from "./use.js";

class Transfer extends EaselElement {
  static properties = { job: { attribute: false } };

  static watches = ["library"];

  render() {
    const { job } = this, going = !FINAL.has(job.state);
    return html`<div class="transfer ${job.state}" data-job=${job.id}>
      <b>${job.result?.file?.name ?? (job.kind === "download" ? job.title : t(`models.${job.kind}`))}</b>
      ${going ? html`<progress aria-label=${job.title} max="1" .value=${job.total ? job.done / job.total : 0}></progress>` : nothing}
      <span class="soft">${this.words(job)}</span>
      ${this.actions(job, going)}
    </div>`;
  }

  words(job) {
    if (job.state === "queued") return t("models.job.queued");
    if (job.state === "cancelled") return t("models.job.cancelled");
    if (job.state === "done" && job.kind === "scan") return t("models.scan.found", { n: job.result.matched.length });
    if (job.state === "done" && job.kind === "updates") return t("models.newer.found", { n: job.result.newer.length });
    if (job.state === "failed" || job.kind !== "download") return job.remark ? wordsOf(job.remark) : job.words;
    if (job.state === "done") return t(job.result?.fetched ? "models.job.done" : "models.job.there");
    if (!job.speed || !job.total) return [job.remark ? wordsOf(job.remark) : job.words, job.done ? size(job.done) : ""].filter(Boolean).join(" · ");
    const said = { done: size(job.done), total: size(job.total), speed: size(job.speed) };
    return job.left === null ? t("models.job.running", said) : t("models.job.left", { ...said, left: duration(job.left) });
  }

  actions(job, going) {
    if (going) return job.mine ? html`<button type="button" @click=${() => cancel(job)}>${t("models.cancel")}</button>` : html`<span></span>`;
    if (job.state !== "done") return html`<button type="button" @click=${() => again(job)}>${t("models.again")}</button>`;
    const model = broughtBy(job);
    return model ? html`<button type="button" class="main" @click=${() => use(model)}>${t("models.use-now")}</button>` : html`<span></span>`;
  }
}
customElements.define("easel-transfer", Transfer);
