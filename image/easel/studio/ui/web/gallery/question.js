// One question at a time, in a dialog: are you sure, or what shall it be called.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { t } from "../texts.js";

class Question extends EaselElement {
  static properties = { asked: { attribute: false } };

  render() {
    const { asked } = this;
    if (!asked) return nothing;
    return html`<dialog aria-labelledby="question-title" @close=${this.closed}>
      <form method="dialog" @submit=${(event) => this.answered(event)}>
        <h2 id="question-title">${asked.title}</h2>
        ${asked.words ? html`<p>${asked.words}</p>` : nothing}
        ${asked.label ? html`<label class="field"><span>${asked.label}</span>
          <input type="text" name="answer" maxlength="100" required autocomplete="off" .value=${asked.value ?? ""}></label>` : nothing}
        <div class="row answers"><button type="button" ?autofocus=${!asked.label} @click=${() => this.querySelector("dialog").close()}
          >${t("gallery.cancel")}</button>
          <button class=${asked.bad ? "main danger" : "main"}>${asked.act}</button></div>
      </form></dialog>`;
  }

  updated() {
    const dialog = this.querySelector("dialog");
    if (!dialog || dialog.open) return;
    dialog.showModal();
    dialog.querySelector("input")?.select();
  }

  answered(event) {
    const said = new FormData(event.target).get("answer");
    this.answer = this.asked.label ? String(said).trim() : true;
  }

  closed() {
    this.done(this.answer || null);
    this.remove();
  }
}
customElements.define("easel-question", Question);

/**
 * @param {{title: string, act: string, words?: string, label?: string, value?: string, bad?: boolean}} asked with a `label` a
 *   text is asked for
 * @returns {Promise<string | true | null>} null for no
 */
export function ask(asked) {
  return new Promise((done) => {
    document.body.append(Object.assign(document.createElement("easel-question"), { asked, done }));
  });
}
