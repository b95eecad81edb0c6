// Several source pictures at once: for modes that do the same with each.
import { html, nothing, repeat } from "../vendor/lit.js";
import { field, setFields } from "../create/fields.js";
import { saidOf } from "../create/number.js";
import { shownPicture } from "../create/shown.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { SourceElement } from "./source-element.js";
import { addressOf, idOf, setSource, sourceOfPicture } from "./sources.js";
import { sourcesOf } from "./taking.js";

/** The first is the one that other modes work on as well. @returns {import("./sources.js").Source[]} */
export const allSources = () => [field("source"), ...(field("more_sources") ?? [])].filter(Boolean);

function setSources([first, ...more]) {
  if (idOf(first) !== idOf(field("source"))) setSource(first);
  store.set("preparing", true);
  setFields({ more_sources: more.length ? more : undefined });
}

/** The sources of a mode; what shows other pictures says in `ABOUT`, `all` and `put` which. */
export class ManySources extends SourceElement {
  static watches = ["fields", "session", "said", "pictures", "shown"];
  static ABOUT = { field: "source", says: "source image imageList init_images", legend: "editor.sources" };
  static properties = { addresses: { state: true } };

  constructor() {
    super();
    this.addresses = {};
  }

  willUpdate() {
    for (const source of this.all()) {
      const id = idOf(source);
      if (id in this.addresses) continue;
      this.addresses[id] = "";
      addressOf(source).then((address) => { this.addresses = { ...this.addresses, [id]: address }; }, () => this.drop(id));
    }
  }

  render() {
    const sources = this.all(), shown = shownPicture(), about = this.constructor.ABOUT;
    return html`<fieldset class="field source ${this.over ? "over" : ""}" data-says=${about.says}
        @dragover=${this.dragged} @dragleave=${this.left} @drop=${this.dropped}>
      <legend>${t(about.legend)}</legend>${this.more()}
      ${sources.length ? html`<ul class="source-list">${repeat(sources, idOf, (one) => html`<li title="${one.name}, ${one.width} × ${one.height}">
        ${this.addresses[idOf(one)] ? html`<img src=${this.addresses[idOf(one)]} alt=${one.name}>` : nothing}
        <button type="button" class="icon" aria-label=${t("editor.sources.remove", { name: one.name })} @click=${() => this.drop(idOf(one))}>✕</button></li>`)}</ul>` : nothing}
      <div class="drop">
        <p class="soft">${sources.length ? t("editor.sources.count", { n: sources.length }) : t("editor.sources.drop")}</p>
        <div class="row wrap">
          <button id="field-${about.field}" type="button" @click=${() => this.querySelector("input[type=file]").click()}>${t("editor.sources.choose")}</button>
          ${!sources.length && shown ? html`<button type="button" @click=${() => this.takeShown(shown)}>
            ${t("editor.source.shown")}</button>` : nothing}
          ${sources.length > 1 ? html`<button type="button" @click=${() => this.put([])}>${t("editor.sources.none")}</button>` : nothing}
        </div></div>
      <input class="sr" type="file" accept="image/*" multiple tabindex="-1" aria-label=${t("editor.sources.choose")} @change=${this.chosen}>
      ${saidOf(about.field)}
    </fieldset>`;
  }

  /** More words under the legend. */
  more() { return nothing; }

  all() { return allSources(); }

  put(sources) { setSources(sources); }

  chosen(event) {
    const files = [...event.target.files];
    event.target.value = "";
    this.take(files);
  }

  async take(files) {
    const found = await sourcesOf(files, this.constructor.ABOUT.field);
    if (found.length) this.put([...this.all(), ...found]);
  }

  drop(id) { this.put(this.all().filter((one) => idOf(one) !== id)); }
}
customElements.define("easel-sources", ManySources);
