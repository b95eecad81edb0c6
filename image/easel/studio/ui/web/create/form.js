// What is asked for: mode, words and settings, and Generate that is always in reach under them.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { stylesheet } from "../stylesheet.js";
import { t } from "../texts.js";
import { checkpoint, examples, field, setField } from "./fields.js";
import { infotextIn } from "./infotext.js";
import { keptFields } from "./kept.js";
import { hasMode, loadMode, modeNow } from "./modes.js";
import "./advanced.js";
import "./count.js";
import "./generate.js";
import "./mode-switch.js";
import { saidOf } from "./number.js";
import "../prompt/field.js";
import "../prompt/loras.js";
import "./seed.js";
import "./size.js";

/** Loaded where a checkpoint looks at pictures. */
function references() {
  import("../editor/references.js").catch(() => location.reload()); // the studio was updated: all fields are kept
  return html`<easel-references></easel-references>`;
}

class Form extends EaselElement {
  static watches = ["fields", "session", "said"];

  render() {
    const name = hasMode(field("mode")) ? field("mode") : "text", mode = modeNow(name);
    if (!mode) loadMode(name).then(() => this.requestUpdate());
    const shares = (part) => mode?.shares.includes(part);
    return html`<form class="ask" data-mode=${name} aria-label=${t("create.form")} @submit=${(event) => event.preventDefault()}>
      <easel-mode-switch></easel-mode-switch>
      <div class="ask-fields">
        ${mode ? nothing : html`<p class="soft">${t("loading")}</p>`}
        ${shares("prompt") ? this.words() : nothing}
        ${mode?.settings?.() ?? nothing}
        ${shares("references") && checkpoint()?.references ? references() : nothing}
        ${shares("negative") ? this.negative() : nothing}
        ${shares("size") ? html`<easel-size></easel-size>` : nothing}
        ${shares("count") ? html`<easel-count></easel-count>` : nothing}
        ${shares("seed") ? html`<easel-seed></easel-seed>` : nothing}
        ${shares("advanced") ? keptFields() : nothing}
        ${shares("advanced") ? html`<easel-advanced></easel-advanced>` : nothing}
      </div>
      <easel-generate></easel-generate>
      ${this.shelved ? html`<easel-shelf></easel-shelf>` : nothing}
    </form>`;
  }

  words() {
    // Only there an empty prompt is drawn as the example that stands in it.
    const example = checkpoint() && field("mode") === "text" ? examples()[0] : "";
    return html`<div class="words" data-says="prompt"><easel-prompt .value=${field("prompt")} .kind=${"positive"} .example=${example}
      @input=${(event) => setField("prompt", event.currentTarget.value)}></easel-prompt>
      <easel-loras .value=${field("prompt")} @input=${(event) => setField("prompt", event.currentTarget.value)}></easel-loras>
      <div class="chips added"><button type="button" class="chip" data-tip=${t("shelf.open.tip")} @click=${this.shelf}>${t("shelf.open")}</button>
        ${field("styles").map((name) => this.style(name))}</div>
      ${infotextIn(field("prompt"))}${saidOf("prompt")}</div>`;
  }

  /** A chosen style is seen where Advanced is folded, too. */
  style(name) {
    const words = t("styles.leave", { name });
    return html`<button type="button" class="chip" aria-pressed="true" aria-label=${words} data-tip=${words}
      @click=${() => setField("styles", field("styles").filter((one) => one !== name))}>${name} <span aria-hidden="true">✕</span></button>`;
  }

  /** LoRAs and embeddings beside the prompt; a first visit does without what shows them. */
  async shelf() {
    try {
      await Promise.all([import("../models/shelf.js"), stylesheet("style/models.css"), stylesheet("style/shelf.css")]);
    } catch {
      return location.reload(); // the studio was updated: all fields are kept
    }
    this.shelved = true;
    this.requestUpdate();
    await this.updateComplete;
    this.querySelector("easel-shelf").show();
  }

  negative() {
    const words = field("negative_prompt");
    // Once open, only the person folds it: not the clearing of its words.
    this.unfolded ||= !!words;
    return html`<details class="negative" ?open=${this.unfolded}>
      <summary>${t("create.negative")}</summary>
      <easel-prompt .value=${words} .kind=${"negative"} @input=${(event) => setField("negative_prompt", event.currentTarget.value)}></easel-prompt>
    </details>`;
  }
}
customElements.define("easel-form", Form);
