// A prompt and what helps while it is typed: completion, tokens with the borders of chunks, brackets that do not
// close, weights by Ctrl ↑ ↓, earlier prompts by Alt ↑ ↓.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { unclosed } from "./brackets.js";
import { Completion } from "./completion.js";
import { weighted } from "./emphasis.js";
import { recalled } from "./history.js";
import { counted } from "./tokens.js";

/**
 * `<easel-prompt .kind="prompt|negative_prompt" .value=… .placeholder=…>`; tells every change by `input` with
 * `detail.value`.
 */
class Prompt extends EaselElement {
  static watches = ["history"];
  static properties = {
    kind: {}, value: {}, placeholder: {}, rows: { type: Number }, error: {}, tokens: { state: true },
    completion: { state: true },
  };

  constructor() {
    super();
    Object.assign(this, { kind: "prompt", value: "", placeholder: "", rows: 4, error: "", tokens: null });
    this.completion = new Completion(this);
  }

  get field() { return this.querySelector("textarea"); }

  render() {
    const id = `prompt-${this.kind}`, open = this.completion.offers.length > 0;
    const problems = unclosed(this.value ?? "");
    return html`<div class="prompt">
      <div class="row"><label for=${id}>${t(`create.${this.kind}`)}</label>
        <output class="tokens" for=${id} data-tip=${t("prompt.tokens.tip")}>${this.tokens && this.value
          ? `${this.tokens.count}/${this.tokens.limit}` : ""}</output></div>
      <div class="written">
        <div class="marks" aria-hidden="true">${marked(this.value ?? "", problems, this.tokens?.breaks ?? [])}</div>
        <textarea id=${id} rows=${this.rows} .value=${this.value ?? ""} placeholder=${this.placeholder}
          spellcheck="false" autocomplete="off" autocapitalize="off" role="combobox" aria-autocomplete="list"
          aria-expanded=${open} aria-controls=${open ? `${id}-offers` : nothing}
          aria-activedescendant=${open ? `${id}-offer-${this.completion.at}` : nothing}
          aria-invalid=${this.error ? "true" : nothing}
          @input=${this.typed} @keydown=${this.pressed} @scroll=${this.scrolled} @blur=${() => this.completion.close()}
          @click=${() => this.completion.close()}></textarea>
        ${open ? this.completion.render(id) : nothing}
      </div>
      ${problems.length ? html`<p class="said">${t("prompt.unclosed", { signs: problems.map((one) => one.sign).join(" ") })}</p>`
        : nothing}
      ${this.error ? html`<p class="wrong" role="alert">${this.error}</p>` : nothing}
    </div>`;
  }

  updated(changed) {
    if (!changed.has("value")) return;
    this.grow();
    counted(this.kind, this.value ?? "", (tokens) => { this.tokens = tokens; });
  }

  typed(event) {
    event.stopPropagation();
    this.write(event.target.value);
    this.completion.look(this.field);
  }

  /** Take `value` as what is written now, and put the cursor at `cursor`. */
  write(value, cursor = null) {
    this.value = value;
    this.emit("input", { value });
    if (cursor == null) return;
    this.updateComplete.then(() => { this.field.focus(); this.field.setSelectionRange(cursor, cursor); });
  }

  pressed(event) {
    if (this.completion.pressed(event)) return;
    const up = event.key === "ArrowUp", down = event.key === "ArrowDown";
    if ((up || down) && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      const { text, start, end } = weighted(this.value, this.field.selectionStart, this.field.selectionEnd, up ? 0.1 : -0.1);
      this.write(text);
      this.updateComplete.then(() => this.field.setSelectionRange(start, end));
    } else if ((up || down) && event.altKey) {
      event.preventDefault();
      const text = recalled(store.get("history"), this.kind, this.value, up ? 1 : -1);
      if (text != null) this.write(text, text.length);
    }
  }

  /** The marks lie under the text and move with it. */
  scrolled() { this.querySelector(".marks").scrollTop = this.field.scrollTop; }

  /** As high as what is written, where the browser cannot do it (`field-sizing`). */
  grow() {
    if (CSS.supports("field-sizing", "content")) return;
    this.field.style.setProperty("height", "auto");
    this.field.style.setProperty("height", `${this.field.scrollHeight + 2}px`);
  }
}
customElements.define("easel-prompt", Prompt);

/** The text once more, invisible, with what is to be marked under the real one. */
function marked(text, problems, breaks) {
  const marks = [
    ...problems.map(({ at }) => ({ at, end: at + 1, kind: "unclosed" })), ...breaks.map((at) => ({ at, end: at, kind: "break" })),
  ].sort((a, b) => a.at - b.at);
  const parts = [];
  let done = 0;
  for (const { at, end, kind } of marks) {
    if (at < done) continue;
    parts.push(text.slice(done, at), html`<mark class=${kind}>${text.slice(at, end)}</mark>`);
    done = end;
  }
  return [...parts, text.slice(done), "\n"];
}
