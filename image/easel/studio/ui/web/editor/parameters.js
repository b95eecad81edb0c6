// The parameters of a picture, as text and one by one.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { post } from "../api.js";
import { bring, field, fieldNamed, setField } from "../create/fields.js";
import { tell } from "../notices.js";
import { wordsOf } from "../remarks.js";
import { t } from "../texts.js";
import { blobOf, idOf } from "./sources.js";

bring({ read_text: "" });
let asked = null;

/** What is to be read: a picture, else a text. @returns {string} which of them; "" where there is none */
export const toRead = () => idOf(field("source")) ?? field("read_text").trim();

/** What it says; asked for once. Raises SourceError and ApiError. @returns {Promise<{text: string, request: object, remarks: object[]}>} */
export function readNow() {
  const id = toRead();
  if (asked?.id !== id) asked = { id, answer: read(field("source"), id) };
  return asked.answer;
}

async function read(source, text) {
  if (!source) return post("studio/parameters", { text });
  const form = new FormData();
  form.append("picture", await blobOf(source), source.name);
  return post("studio/parameters", form);
}

class Parameters extends EaselElement {
  static watches = ["fields"];
  static properties = { said: { state: true }, wrong: { state: true } };

  constructor() {
    super();
    this.said = null;
    this.wrong = "";
  }

  willUpdate() {
    const id = toRead();
    if (id === this.readId) return;
    this.readId = id;
    this.said = null;
    this.wrong = "";
    if (!id) return;
    const mine = (set) => (value) => { if (this.readId === id) set(value); };
    readNow().then(mine((said) => { this.said = said; }), mine((error) => { this.wrong = error.words; }));
  }

  render() {
    return html`${field("source") ? nothing : this.pasted()}${toRead() ? this.read() : nothing}`;
  }

  pasted() {
    return html`<div class="field" data-says="read_text"><label for="field-read_text">${t("create.read_text")}</label>
      <textarea id="field-read_text" rows="8" spellcheck="false" data-tip=${t("create.read_text.tip")} placeholder=${t("editor.read.example")}
        .value=${field("read_text")} @input=${(event) => setField("read_text", event.target.value)}></textarea></div>
      <p class="soft">${t("editor.read.how")}</p>`;
  }

  read() {
    if (this.wrong) return html`<p class="wrong" role="alert">${this.wrong}</p>`;
    if (!this.said) return html`<p class="soft">${t("loading")}</p>`;
    const { text, request, remarks } = this.said, facts = factsOf(request);
    return html`<div class="read-parameters">
      ${facts.length ? html`<dl>${facts.map(([name, value]) => html`<div><dt>${nameOf(name)}</dt><dd>${value}</dd></div>`)}</dl>` : nothing}
      ${remarks.length ? html`<ul class="said">${remarks.map((one) => html`<li>${wordsOf(one)}</li>`)}</ul>` : nothing}
      ${text && field("source") ? html`<details><summary>${t("editor.read.text")}</summary><textarea readonly rows="8" aria-label=${t("editor.read.text")} .value=${text}></textarea>
        <button type="button" @click=${() => this.copy(text)}>${t("editor.read.copy")}</button></details>` : nothing}
      ${field("source") ? html`<div class="row wrap"><button type="button" @click=${() => setField("mode", "image")}>${t("editor.read.source")}</button></div>` : nothing}
    </div>`;
  }

  async copy(text) {
    await navigator.clipboard?.writeText(text);
    tell(t("editor.read.copied"));
  }
}
customElements.define("easel-read-parameters", Parameters);

/** Names and values for people; options stand among them by their own names. */
function factsOf({ override_settings = {}, ...request }) {
  const shown = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));
  return Object.entries({ ...request, ...override_settings }).filter(([, value]) => value !== null && value !== "" && !(Array.isArray(value) && !value.length))
    .map(([name, value]) => [name, shown(value)]);
}

/** The page's own word for a field, or A1111's name. */
function nameOf(name) {
  if (name === "sd_model_checkpoint") return t("bar.checkpoint");
  const key = `create.${fieldNamed(name)}`, words = t(key);
  return words === key ? name : words;
}
