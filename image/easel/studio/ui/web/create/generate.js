// Generate: never disabled while something is drawn; pressing it again asks for more.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement, styled } from "../element.js";
import { generate } from "../actions.js";
import { wordsOf } from "../remarks.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { checkpoint, field } from "./fields.js";
import { saidOf } from "./number.js";
import { modeNow } from "./modes.js";
import { openTickets } from "./shown.js";

class Generate extends EaselElement {
  static watches = ["session", "fields", "said", "tickets", "modes"];

  connectedCallback() {
    super.connectedCallback();
    this.hear(window, "keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.defaultPrevented) return;
      if (store.get("place") !== "create" || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      generate();
    });
  }

  render() {
    const session = store.get("session"), none = session && !session.checkpoint;
    const mode = modeNow(field("mode")), action = mode?.action ?? "create.generate";
    const n = mode?.shares.includes("count") ? field("n_iter") * field("batch_size") : 1;
    const drawn = openTickets()[0];
    // On a phone the stage may be out of sight while one presses this.
    return html`<div class="generate">
      ${drawn ? html`<i class="drawn-so-far" ${styled({ "--done": drawn.fraction ?? 0 })}></i>` : nothing}
      ${saidOf("generate")}
      ${checkpoint()?.problem ? html`<p class="wrong" role="status">${wordsOf(checkpoint().remark)}</p>` : nothing}
      ${none ? html`<a class="button main" href="#models">${t("create.no-checkpoint.act")}</a>` : html`
        <button type="button" class="main" ?disabled=${!session} data-tip=${t("create.generate.tip")} @click=${() => generate()}>
          <span>${t(action)}</span>${n > 1 ? html`<span class="many" aria-label=${t("create.pictures", { n })}>× ${n}</span>` : nothing}
          <kbd aria-hidden="true">${/Mac|iP/.test(navigator.platform) ? "⌘" : t("key.ctrl")} ⏎</kbd>
        </button>`}
    </div>`;
  }
}
customElements.define("easel-generate", Generate);
