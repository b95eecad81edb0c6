// The LoRAs of a prompt as chips, each with its weight.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { t } from "../texts.js";

const TAG = /<(lora|lyco):([^<>:]+)(?::([^<>]*))?>/gi;

/** `<easel-loras .value=${prompt}>`; tells `input` with the prompt that has another weight, or one LoRA less. */
class Loras extends EaselElement {
  static properties = { value: {} };

  render() {
    const tags = [...(this.value ?? "").matchAll(TAG)];
    if (!tags.length) return nothing;
    return html`<ul class="loras" aria-label=${t("loras.title")}>${tags.map((tag) => this.chip(tag))}</ul>`;
  }

  chip(tag) {
    const [, kind, name, rest = "1"] = tag, [weight, ...others] = rest.split(":");
    const plain = weight.trim() !== "" && !Number.isNaN(Number(weight));
    const write = (value) => this.put(tag, `<${kind}:${name}:${[value, ...others].join(":")}>`);
    return html`<li class="chip">
      <span class="name">${name}</span>
      ${plain ? html`<input type="range" min="-1" max="2" step="0.05" .value=${weight} aria-label=${t("loras.weight", { name })}
          @input=${(event) => { event.stopPropagation(); write(event.target.value); }}>
        <output>${Number(weight).toFixed(2)}</output>` : html`<output>${rest}</output>`}
      <button class="icon" aria-label=${t("loras.remove", { name })} @click=${() => this.put(tag, "")}>✕</button>
    </li>`;
  }

  put(tag, by) {
    const before = this.value.slice(0, tag.index), after = this.value.slice(tag.index + tag[0].length);
    this.value = by ? before + by + after : `${before.trimEnd()}${before && after ? " " : ""}${after.trimStart()}`;
    this.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
customElements.define("easel-loras", Loras);
