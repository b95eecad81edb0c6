// What is to be done with a picture that was dropped or pasted on the page.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { openPlace } from "../actions.js";
import { field, setFields } from "../create/fields.js";
import { tell } from "../notices.js";
import { t } from "../texts.js";
import { addressOf, setSource, sourceOfFile } from "./sources.js";

/** Modes that go on with the picture; from another one it goes to the first. */
const TAKES = ["image", "sketch", "inpaint", "outpaint", "upscale", "batch"];

class Offer extends EaselElement {
  static properties = { sources: { state: true }, address: { state: true } };

  constructor() {
    super();
    this.sources = [];
    this.address = "";
  }

  async ask(files) {
    const found = [];
    for (const file of files) {
      try {
        found.push(await sourceOfFile(file));
      } catch (error) {
        tell(error.words ?? String(error), { bad: true });
      }
    }
    if (!found.length) return;
    this.sources = found;
    this.address = await addressOf(found[0]);
    await this.updateComplete;
    const dialog = this.querySelector("dialog");
    if (!dialog.open) dialog.showModal();
  }

  render() {
    const [first, ...more] = this.sources;
    return html`<dialog class="dropped-here" aria-labelledby="offer-title" @close=${() => { this.sources = []; }}>
      <h2 id="offer-title">${t("editor.offer")}</h2>
      ${first ? html`<figure><img src=${this.address} alt=""><figcaption><b>${first.name}</b>
        <span class="soft">${more.length ? t("editor.offer.more", { n: more.length }) : `${first.width} × ${first.height}`}</span></figcaption></figure>` : nothing}
      <form method="dialog" class="row wrap">
        <button class="main" @click=${() => this.work()}>${t("editor.offer.source")}</button>
        <button @click=${() => this.read()}>${t("editor.offer.read")}</button>
        <button>${t("close")}</button>
      </form></dialog>`;
  }

  read() {
    setSource(this.sources[0]);
    setFields({ mode: "read", more_sources: undefined });
    openPlace("create");
  }

  work() {
    const [first, ...more] = this.sources, here = TAKES.includes(field("mode")) ? field("mode") : TAKES[0];
    const many = more.length && !["upscale", "batch"].includes(here) ? "batch" : here;
    setSource(first);
    setFields({ mode: many, more_sources: more.length ? more : undefined });
    openPlace("create");
  }
}
customElements.define("easel-dropped", Offer);

/** Ask what is to be done with files. */
export function offer(files) {
  let element = document.querySelector("easel-dropped");
  if (!element) document.body.append(element = document.createElement("easel-dropped"));
  element.ask(files);
}
