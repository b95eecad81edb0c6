// What a canvas is painted with, in a row under it.
import { html, nothing, svg } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { field, range, setField } from "../create/fields.js";
import { t } from "../texts.js";
import { TOOLS } from "./brush.js";

const path = (d) => svg`<svg class="drawn" viewBox="0 0 24 24" width="20" height="20" fill="none" stroke="currentColor" stroke-width="1.8"
  stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${d}/></svg>`;
const ICONS = {
  brush: path("M9.5 14.5C8 14 5 15 4.5 18c-.2 1.2-1 2-1.5 2 4 1.5 8 .5 8-3 0-1-.5-2-1.5-2.5ZM10 14 19.5 4.5a1.4 1.4 0 0 1 2 2L12 16"),
  erase: path("M8.5 20 3.5 15a1.5 1.5 0 0 1 0-2L13 3.5a1.5 1.5 0 0 1 2 0L20.5 9a1.5 1.5 0 0 1 0 2l-9 9h-3ZM8 8.5l7.5 7.5M11 20h9"),
  undo: path("M9 6 4 11l5 5M4 11h10a6 6 0 0 1 6 6v1"),
  redo: path("m15 6 5 5-5 5M20 11H10a6 6 0 0 0-6 6v1"),
  invert: path("M4 4h16v16H4zM4 20 20 4M8 8h4M14 16h4M16 14v4"),
  fill: path("m5 11 7-7 7 7-7 7-7-7ZM5 11h14M20 15c1 1.5 1.5 2.5 1.5 3.5a1.5 1.5 0 0 1-3 0c0-1 .5-2 1.5-3.5Z"),
  clear: path("M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13"),
  fit: path("M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5"),
};

/** `<easel-tools .kind="mask">`: a mask is inverted, a sketch has colours. */
class Tools extends EaselElement {
  static watches = ["fields"];
  static properties = { kind: {} };

  render() {
    const [least, most] = range("brush_size"), mask = this.kind === "mask";
    return html`<div class="paint-tools" role="toolbar" aria-label=${t("editor.tools")}>
      ${TOOLS.map((one) => this.button(one, () => setField("brush_tool", one), field("brush_tool") === one))}
      ${mask ? nothing : html`<input type="color" aria-label=${t("editor.colour")} data-tip=${t("editor.colour.tip")} .value=${field("brush_colour")}
        @input=${(event) => setField("brush_colour", event.target.value)}>`}
      <label class="brush-size" data-tip=${t("editor.size.tip")}><span class="sr">${t("editor.size")}</span>
        <input type="range" min=${least} max=${most} .value=${String(field("brush_size"))} @input=${(event) => setField("brush_size", Number(event.target.value))}>
        <output>${field("brush_size")}</output></label>
      <hr>
      ${["undo", "redo"].map((one) => this.button(one, () => this.does(one)))}
      ${this.button(mask ? "invert" : "fill", () => this.does(mask ? "invert" : "fill"))}
      ${this.button("clear", () => this.does("clear"))}
      ${this.button("fit", () => this.does("fit"))}
    </div>`;
  }

  button(name, act, pressed = null) {
    return html`<button type="button" class="icon" aria-label=${t(`editor.tool.${name}`)} data-tip=${t(`editor.tool.${name}.tip`)}
      aria-pressed=${pressed ?? nothing} @click=${act}>${ICONS[name]}</button>`;
  }

  does(what) { document.querySelector("easel-painter")?.does(what); }
}
customElements.define("easel-tools", Tools);
