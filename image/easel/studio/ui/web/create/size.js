// The picture's size: shapes that the checkpoint draws well, or one's own.
import { html, nothing, svg } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { field, setFields, shapes } from "./fields.js";
import { MODE_ICONS } from "./icons.js";
import { saidOf } from "./number.js";
import { sourceSize } from "./source-size.js";

class Size extends EaselElement {
  static watches = ["fields", "session", "said"];

  render() {
    const { width, height } = store.get("fields"), set = width !== undefined || height !== undefined;
    const source = sourceSize(), asSource = set && source?.width === field("width") && source?.height === field("height"), own = set && !asSource;
    return html`<fieldset class="size" data-says="width height">
      <legend>${t("create.size")}${own ? nothing : html` <output>${field("width")} × ${field("height")}</output>`}</legend>
      <div class="shapes">
        ${source ? html`<button type="button" aria-pressed=${asSource} aria-label="${t("create.shape.source")} ${ratio(source)}, ${source.width} × ${source.height}"
          data-tip=${t("create.shape.source.tip", source)} @click=${() => setFields(source)}>${MODE_ICONS.image}<span aria-hidden="true">${ratio(source)}</span></button>` : nothing}
        ${shapes().map((one) => html`<button type="button" aria-pressed=${!set && field.shape() === one.name}
            aria-label="${t(`create.shape.${one.name}`)} ${ratio(one)}, ${one.width} × ${one.height}" data-tip="${t(`create.shape.${one.name}`)} · ${one.width} × ${one.height}"
            @click=${() => setFields({ shape: one.name, width: undefined, height: undefined })}>${outline(one)}<span aria-hidden="true">${ratio(one)}</span></button>`)}
        <button type="button" aria-pressed=${own} data-tip=${t("create.own-size.tip")}
          @click=${() => setFields({ width: field("width"), height: field("height") })}>${t("create.own-size")}</button>
      </div>
      ${own ? html`<div class="own-size">
        <easel-number name="width" step="8"></easel-number>
        <button type="button" class="icon" aria-label=${t("create.swap")} data-tip=${t("create.swap")}
          @click=${() => setFields({ width: field("height"), height: field("width") })}>⇄</button>
        <easel-number name="height" step="8"></easel-number>
      </div>` : html`${saidOf("width")}${saidOf("height")}`}
    </fieldset>`;
  }
}
customElements.define("easel-size", Size);

/** Sides that people have names for; a checkpoint's own are near one of them. */
const RATIOS = [[1, 1], [5, 4], [4, 3], [3, 2], [16, 9], [21, 9]];

/** "3:2" */
function ratio({ width, height }) {
  const wide = Math.max(width, height) / Math.min(width, height), far = ([long, short]) => Math.abs(Math.log(long / short / wide));
  const near = RATIOS.toSorted((one, other) => far(one) - far(other))[0];
  return (width < height ? near.toReversed() : near).join(":");
}

/** The shape itself, at its own proportions. */
function outline({ width, height }) {
  const most = Math.max(width, height), w = 20 * width / most, h = 20 * height / most;
  return svg`<svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true"><rect x=${12 - w / 2} y=${12 - h / 2} width=${w} height=${h} rx="3"
    fill="none" stroke="currentColor" stroke-width="2"/></svg>`;
}
