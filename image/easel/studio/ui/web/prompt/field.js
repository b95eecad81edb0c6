// A prompt and what helps while it is typed: completion, tokens with the borders of chunks, brackets that do not
// close, weights by Ctrl ↑ ↓, earlier prompts by Alt ↑ ↓.
import { html, live, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { unclosed } from "./brackets.js";
import { Completion } from "./completion.js";
import { weighted } from "./emphasis.js";
import { recalled } from "./history.js";
import { counted } from "./tokens.js";

/**
 * `<easel-prompt .value=${words} .kind=${"positive"} .example=${"…"} @input=${…}>`: `input` bubbles with each change, and
 * `value` is then what stands there.
 */
class Prompt extends EaselElement {
  static properties = { value: {}, kind: {}, example: {}, tokens: { state: true } };

  constructor() {
    super();
    this.value = this.example = "";
    this.kind = "positive";
    this.tokens = null;
    this.completion = new Completion(this);
  }

  get name() { return this.kind === "negative" ? "negative_prompt" : "prompt"; }

  get field() { return this.querySelector("textarea"); }

  /** No combobox: a field of many lines may not be one, and `aria-expanded` would go with it. */
  render() {
    const id = this.name, text = this.value ?? "", open = this.completion.offers.length > 0, problems = unclosed(text);
    return html`<div class="prompt field">
      <div class="row"><label for=${id}>${t(`create.${id}`)}</label>
        <output class="tokens" for=${id} data-tip=${t("prompt.tokens.tip")}>${this.tokens && text
          ? `${this.tokens.count}/${this.tokens.limit}` : ""}</output></div>
      <div class="written">
        <div class="marks" aria-hidden="true">${marked(text, problems, this.tokens?.breaks ?? [])}</div>
        <textarea id=${id} rows=${this.kind === "negative" ? 2 : 4} .value=${live(text)} placeholder=${this.example || nothing}
          spellcheck="false" autocomplete="off" autocapitalize="off" data-tip=${t(`create.${id}.tip`)}
          aria-autocomplete="list" aria-haspopup="listbox" aria-controls=${open ? `${id}-offers` : nothing}
          aria-activedescendant=${open ? `${id}-offer-${this.completion.at}` : nothing}
          @input=${this.typed} @keydown=${this.pressed} @scroll=${this.scrolled} @blur=${() => this.completion.close()}
          @click=${() => this.completion.close()}></textarea>
        ${text ? html`<button type="button" class="icon clear" aria-label=${t("create.clear")}
          @click=${() => this.write("", 0)}>✕</button>` : nothing}
        ${open ? this.completion.render(id) : nothing}
      </div>
      ${problems.length ? html`<p class="said">${t("prompt.unclosed", { signs: problems.map((one) => one.sign).join(" ") })}</p>`
        : nothing}
    </div>`;
  }

  updated(changed) {
    if (!changed.has("value")) return;
    this.grow();
    counted(this.name, this.value ?? "", (tokens) => { this.tokens = tokens; });
  }

  typed() {
    this.value = this.field.value;
    this.completion.look(this.field);
  }

  /** Take `value` as what is written now, and put the cursor at `cursor`. */
  write(value, cursor = null) {
    this.value = value;
    this.dispatchEvent(new Event("input", { bubbles: true }));
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
    } else if ((up || down) && event.altKey && this.kind === "positive") {
      event.preventDefault();
      const text = recalled(store.get("history"), this.value, up ? 1 : -1);
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
