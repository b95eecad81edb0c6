// What every element of the page is: Lit in the light DOM, words from texts.js, parts of the store it watches.
import { LitElement, Directive, directive, PartType } from "./vendor/lit.js";
import { store } from "./store.js";
import { language } from "./texts.js";

/**
 * Base of all elements. Light DOM: one stylesheet, labels that reach their fields, landmarks that screen readers
 * see as one page.
 *
 * A subclass names the parts of the store that it shows in `static watches = ["session", …]`; it is drawn again
 * when one of them changes, and with every change of language.
 */
export class EaselElement extends LitElement {
  /** @type {string[]} keys of the store */
  static watches = [];

  createRenderRoot() { return this; }

  connectedCallback() {
    super.connectedCallback();
    const again = () => this.requestUpdate();
    this.ends = [...this.constructor.watches.map((key) => store.on(key, again)), language.on(again)];
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    for (const off of this.ends ?? []) off();
  }

  /** Hear an event of `target` for as long as this element is on the page. To be called when it is connected. */
  hear(target, name, told, options) {
    target.addEventListener(name, told, options);
    this.endWith(() => target.removeEventListener(name, told, options));
  }

  /** End something, as `store.on` gives it, when this element is taken off the page. */
  endWith(off) { this.ends.push(off); }

  /** Tell whoever stands around this element: `emit("chosen", {name})` is an event `chosen` that bubbles. */
  emit(name, detail) {
    return this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, cancelable: true }));
  }
}

class Styled extends Directive {
  constructor(part) {
    super(part);
    if (part.type !== PartType.ELEMENT) throw new Error("styled() stands in a tag: <i ${styled({width: '3%'})}>");
  }

  update({ element }, [values]) {
    for (const [name, value] of Object.entries(values)) {
      const property = name.startsWith("--") ? name : name.replace(/[A-Z]/g, (one) => `-${one.toLowerCase()}`);
      if (value == null) element.style.removeProperty(property);
      else element.style.setProperty(property, value);
    }
  }
}

/** Styles that are computed. The page's policy forbids style attributes; what scripts set is allowed. */
export const styled = directive(Styled);
