// Completion while typing: LoRAs, embeddings, wildcards, styles, and the words that a model was trained on.
import { html } from "../vendor/lit.js";
import { get } from "../api.js";
import { field, setField } from "../create/fields.js";
import { on } from "../events.js";
import { store } from "../store.js";
import { t } from "../texts.js";

const SHOWN = 12, SHORTEST = 2;
const TAGS = ["<lora:", "<lyco:"];
const TYPED = /(<[^\s<>:][^<>:]*|<(?:lora|lyco):[^<>:]*|<|__[^\s_,]*|[^\s,()[\]{}|<>]+(?: [^\s,()[\]{}|<>]+)?)$/;
let words = null;
on("models", () => { words = null; });
store.on("styled", () => { words = null; });

/** Everything that can be offered: what is read, what is written, its kind. Asked for once; models change it. */
async function known() {
  if (!words) {
    const found = await get("studio/words");
    words = [
      ...found.loras.map(({ name, words: [first = ""] = [], family }) => ({
        name, kind: "lora", more: [family, first].filter(Boolean).join(" · "), text: `<lora:${name}:1>${first ? ` ${first}` : ""}`,
      })),
      ...found.embeddings.map((name) => ({ name, kind: "embedding", text: name })),
      ...found.wildcards.map((name) => ({ name, kind: "wildcard", text: `__${name}__` })),
      ...found.styles.map((name) => ({ name, kind: "style", text: "" })),
      ...found.trained.map((name) => ({ name, kind: "trained", text: name })),
    ];
  }
  return words;
}

/** The list under one prompt. */
export class Completion {
  constructor(prompt) {
    this.prompt = prompt;
    this.offers = [];
    this.at = 0;
    this.from = 0;
  }

  /** Look what fits to the word before the cursor. */
  async look(input) {
    const cursor = input.selectionStart;
    const typed = input.value.slice(0, cursor).match(TYPED)?.[0] ?? "";
    let all;
    try { all = typed ? await known() : []; }
    catch { all = []; }
    if (input.selectionStart !== cursor) return;
    // Two words first, for names have spaces; then the last alone.
    for (const said of new Set([typed, typed.split(" ").at(-1)])) {
      const offers = fitting(all, said);
      if (offers.length) return this.show(offers, cursor - said.length);
    }
    this.close();
  }

  show(offers, from) {
    Object.assign(this, { offers, from, at: 0 });
    this.prompt.requestUpdate();
  }

  close() {
    if (this.offers.length) this.show([], 0);
  }

  /** @returns {boolean} whether the key was for the list */
  pressed(event) {
    if (!this.offers.length || event.ctrlKey || event.metaKey || event.altKey) return false;
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (move) this.at = (this.at + move + this.offers.length) % this.offers.length;
    else if (event.key === "Enter" || event.key === "Tab") this.take(this.offers[this.at]);
    else if (event.key === "Escape") { this.close(); event.stopPropagation(); } else return false;
    event.preventDefault();
    this.prompt.requestUpdate();
    return true;
  }

  /** What is typed becomes the whole of it; a style is no word of the prompt, but stands under it. */
  take({ text, kind, name }) {
    const typed = this.prompt.field, after = typed.value.slice(typed.selectionStart);
    const written = typed.value.slice(0, this.from) + text;
    this.close();
    this.prompt.write(written + after, written.length);
    if (kind === "style") setField("styles", [...new Set([...field("styles"), name])]);
  }

  render(id) {
    return html`<ul class="offers" role="listbox" id="${id}-offers" aria-label=${t("prompt.offers")}>
      ${this.offers.map((offer, number) => html`
        <li role="option" id="${id}-offer-${number}" aria-selected=${number === this.at}
            @pointerdown=${(event) => { event.preventDefault(); this.take(offer); }}>
          <span>${offer.name}</span> <small>${[t(`prompt.kind.${offer.kind}`), offer.more].filter(Boolean).join(" · ")}</small>
        </li>`)}
    </ul>`;
  }
}

/** What begins so comes before what has it inside; a tag and a wildcard offer their own kind only. */
function fitting(all, typed) {
  // On the way to `<lora:` all of them; who leaves that out means a name.
  const tag = typed && TAGS.some((one) => one.startsWith(typed)) ? [typed, ""] : typed.match(/^<(?:(?:lora|lyco):)?(.*)$/), wildcard = typed.match(/^__(.*)$/);
  const said = (tag ?? wildcard ?? ["", typed])[1].toLowerCase();
  if (!tag && !wildcard && said.length < SHORTEST) return [];
  const kinds = tag ? ["lora"] : wildcard ? ["wildcard"] : null;
  const found = all.filter(({ name, kind }) => (!kinds || kinds.includes(kind)) && name.toLowerCase().includes(said));
  const rank = ({ name }) => (name.toLowerCase().startsWith(said) ? 0 : 1);
  return found.filter(({ text }) => text.toLowerCase() !== said).sort((a, b) => rank(a) - rank(b)).slice(0, SHOWN);
}
