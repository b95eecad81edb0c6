// Models: what there is to draw with, by kind; new ones in, by address or by file.
import { html, nothing, repeat } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { countUses, counted, families, follow, folders, load, SORTS, wanted } from "./library.js";
import { followJobs, start } from "./jobs.js";
import { tell } from "../notices.js";
import "./add.js";
import "./card.js";
import "./detail.js";
import "./drop.js";
import "./transfers.js";

// Cards that are made at first; the others as one scrolls to them.
const AT_ONCE = 120;
const ALL = { kind: "", folder: "", family: "", search: "", sort: "name", fitting: false };

class Models extends EaselElement {
  static watches = ["library", "library-trouble", "library-used", "fields", "session"];

  constructor() {
    super();
    this.asked = { ...ALL };
    this.shown = AT_ONCE;
  }

  connectedCallback() {
    super.connectedCallback();
    follow();
    followJobs();
    this.more = new IntersectionObserver((seen) => {
      if (seen.some((one) => one.isIntersecting)) { this.shown += AT_ONCE; this.requestUpdate(); }
    }, { rootMargin: "600px" });
  }

  updated() {
    this.more.disconnect();
    const end = this.querySelector(".models-more");
    if (end) this.more.observe(end);
  }

  ask(changes) {
    // Folders are those of a kind.
    this.asked = { ...this.asked, ...(changes.kind !== undefined ? { folder: "" } : {}), ...changes };
    this.shown = AT_ONCE;
    if (changes.sort === "used") countUses();
    this.requestUpdate();
  }

  render() {
    const library = store.get("library");
    return html`
      <div class="models">
        <h2 class="sr">${t("place.models")}</h2>
        ${library && !library.may_change ? html`<p class="models-visitor">${t("models.visitor")}</p>` : html`<easel-add-model></easel-add-model>`}
        <easel-model-transfers></easel-model-transfers>
        ${this.tabs(library)}
        ${this.filters(library)}
        ${store.get("library-trouble") ? html`<p class="wrong" role="alert">${store.get("library-trouble")}
          <button @click=${load}>${t("models.try-again")}</button></p>` : nothing}
        <div id="models-panel" role="tabpanel" aria-labelledby="models-tab-${this.asked.kind || "all"}">${this.grid(library)}</div>
        <easel-model-detail></easel-model-detail>
        ${library?.may_change ? html`<easel-model-drop></easel-model-drop>` : nothing}
      </div>`;
  }

  tabs(library) {
    return html`<div class="models-tabs" role="tablist" aria-label=${t("models.kinds")} @keydown=${this.arrow}>
      ${counted(library).map(([kind, count]) => html`
        <button role="tab" id="models-tab-${kind || "all"}" aria-controls="models-panel" aria-selected=${kind === this.asked.kind}
                tabindex=${kind === this.asked.kind ? 0 : -1} @click=${() => this.ask({ kind })}>
          ${t(`models.kind.${kind || "all"}`)} <span class="count">${library ? count.toLocaleString(document.documentElement.lang) : ""}</span>
        </button>`)}
    </div>`;
  }

  /** Left and right go from tab to tab, as people of screen readers expect of tabs. */
  arrow(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const all = [...event.currentTarget.querySelectorAll("[role=tab]")];
    const next = all[(all.indexOf(event.target.closest("[role=tab]")) + step + all.length) % all.length];
    next.click();
    next.focus();
    event.preventDefault();
  }

  filters(library) {
    const models = library?.models ?? [], { kind, folder, family, search, sort, fitting } = this.asked;
    const inFolders = folders(models, kind), ofFamilies = families(models);
    return html`<div class="models-filters" role="search">
      <input type="search" aria-label=${t("models.search")} placeholder=${t("models.search")} data-tip=${t("models.search.tip")}
             .value=${search} @input=${(event) => this.ask({ search: event.target.value })}>
      ${this.choice("folder", folder, inFolders.map((one) => [one, one]))}
      ${this.choice("family", family, ofFamilies.map((one) => [one, one]))}
      <label class="tick" data-tip=${t("models.fitting.tip")}><input type="checkbox" .checked=${fitting}
        @change=${(event) => this.ask({ fitting: event.target.checked })}>${t("models.fitting")}</label>
      <select class="sort" aria-label=${t("models.sort")} data-tip=${t("models.sort.tip")} @change=${(event) => this.ask({ sort: event.target.value })}>
        ${SORTS.map((one) => html`<option value=${one} ?selected=${one === sort}>${t(`models.sort.${one}`)}</option>`)}
      </select>
      ${this.work(library)}
    </div>`;
  }

  choice(name, chosen, known) {
    return html`<select class=${name} aria-label=${t(`models.${name}`)} data-tip=${t(`models.${name}.tip`)} ?disabled=${!known.length}
        @change=${(event) => this.ask({ [name]: event.target.value })}>
      <option value="" ?selected=${!chosen}>${t(`models.${name}.all`)}</option>
      ${known.map(([value, words]) => html`<option value=${value} ?selected=${value === chosen}>${words}</option>`)}
    </select>`;
  }

  /** What is rarely wanted: new models come by themselves, but who looks for Reload finds it. */
  work(library) {
    return html`
      <button class="reload" data-tip=${t("models.reload.tip")} @click=${load}>${t("models.reload")}</button>
      ${library?.may_change ?? true ? html`
        <button popovertarget="models-work" aria-haspopup="menu">${t("models.more")}</button>
        <div id="models-work" popover class="menu" aria-label=${t("models.more")}>
          <button class="plain" data-tip=${t("models.updates.tip")} @click=${() => this.start("updates")}>${t("models.updates")}</button>
          <button class="plain" data-tip=${t("models.scan.tip")} @click=${() => this.start("scan")}>${t("models.scan")}</button>
        </div>` : nothing}`;
  }

  async start(path) {
    this.querySelector("#models-work").hidePopover();
    try { await start(path); } catch (error) { tell(error.words, { bad: true }); }
  }

  grid(library) {
    if (!library) return html`<div class="models-grid" aria-busy="true">${Array.from({ length: 12 }, () => html`<div class="model blank"></div>`)}</div>`;
    const found = wanted(library.models, this.asked);
    if (!found.length) return this.nothing(library);
    return html`
      <p class="sr" role="status">${t("models.count", { n: found.length })}</p>
      <div class="models-grid">
        ${repeat(found.slice(0, this.shown), (one) => `${one.kind}/${one.name}`, (one) => html`<easel-model-card .model=${one}></easel-model-card>`)}
      </div>
      ${found.length > this.shown ? html`<button class="models-more" @click=${() => { this.shown += AT_ONCE; this.requestUpdate(); }}>
        ${t("models.show-more", { n: found.length - this.shown })}</button>` : nothing}`;
  }

  nothing(library) {
    const { kind } = this.asked;
    const none = !library.models.some((one) => !kind || one.kind === kind);
    return html`<div class="models-none">
      <h3>${none ? t(`models.none.${kind || "all"}`) : t("models.none.found")}</h3>
      ${none ? html`<p>${t(`models.teach.${kind || "all"}`)}</p>${library.may_change ? html`<p class="soft">${t("models.teach.add")}</p>` : nothing}`
        : html`<button @click=${() => this.ask({ ...ALL, kind })}>${t("models.none.clear")}</button>`}
    </div>`;
  }
}
customElements.define("easel-models", Models);
