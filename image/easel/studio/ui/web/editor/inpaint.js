// Inpaint: what one paints over is drawn anew, the rest stays.
import { html, nothing } from "../vendor/lit.js";
import { choice, tick } from "../create/choice.js";
import { bring, field, setField } from "../create/fields.js";
import { t } from "../texts.js";
import { changeFields, over, overFaults, SHARES, sourceField } from "./drawing-over.js";
import { groundOf, isPainted, layerOver } from "./layers.js";
import { dataOfBlob } from "./sources.js";
import { invitation } from "./source-view.js";
import "./painter.js";
import "./tools.js";

const FILLS = ["fill", "original", "noise", "nothing"];
/** A1111's script "Soft Inpainting": its numbers in its order, what stands in them, and their ranges. */
const SOFT = {
  soft_bias: [1, 0, 8, 0.1], soft_preservation: [0.5, 0, 8, 0.05], soft_contrast: [4, 1, 32, 0.5], soft_influence: [0, 0, 1, 0.05],
  soft_threshold: [0.5, 0, 8, 0.25], soft_difference: [2, 0, 8, 0.25],
};
const NUMBERS = ["denoising_strength", "mask_blur", "inpaint_full_res_padding"];
bring(
  {
    mask_blur: 4, inpainting_fill: "1", inpaint_full_res: false, inpaint_full_res_padding: 32, soft_inpainting: false,
    ...Object.fromEntries(Object.entries(SOFT).map(([name, [value]]) => [name, value])),
  },
  {
    mask_blur: [0, 64], inpaint_full_res_padding: [0, 256],
    ...Object.fromEntries(Object.entries(SOFT).map(([name, [, least, most]]) => [name, [least, most]])),
  },
);

function settings() {
  const fills = FILLS.map((name, number) => ({ name: String(number), label: t(`editor.fill.${name}`) })), masked = field("inpaint_full_res");
  const area = (only) => html`<button type="button" aria-pressed=${masked === only} data-tip=${t(`editor.area.${only ? "masked" : "whole"}.tip`)}
    @click=${() => setField("inpaint_full_res", only)}>${t(`editor.area.${only ? "masked" : "whole"}`)}</button>`;
  return html`${sourceField()}
    <fieldset><legend>${t("editor.area")}</legend><div class="segments">${area(false)}${area(true)}</div></fieldset>
    <div class="fields">
      ${changeFields()}
      ${choice("inpainting_fill", fills)}
      <easel-number name="mask_blur"></easel-number>
      ${masked ? html`<easel-number name="inpaint_full_res_padding"></easel-number>` : nothing}
      <span class="wide">${tick("soft_inpainting")}</span>
      ${field("soft_inpainting") ? Object.entries(SOFT).map(([name, [, , , step]]) => html`<easel-number name=${name} step=${step}></easel-number>`) : nothing}
    </div>`;
}

function stage() {
  const source = field("source");
  return source ? html`<easel-painter .kind=${"mask"} .ground=${groundOf(source)} .source=${source}></easel-painter>` : invitation();
}

function faults() {
  const numbers = field("soft_inpainting") ? [...NUMBERS, ...Object.keys(SOFT)] : NUMBERS, found = overFaults(...numbers);
  return found.source || isPainted("mask", groundOf(field("source"))) ? found : { ...found, source: t("editor.fault.mask") };
}

async function ask(fields) {
  const layer = await layerOver("mask", groundOf(field("source")));
  const soft = field("soft_inpainting") ? { "Soft Inpainting": { args: [true, ...Object.keys(SOFT).map(field)] } } : undefined;
  return over(fields, "inpaint", {
    mask: await dataOfBlob(await layer.mask()), mask_blur: field("mask_blur"), inpainting_fill: Number(field("inpainting_fill")),
    inpaint_full_res: field("inpaint_full_res"), inpaint_full_res_padding: field("inpaint_full_res_padding"), inpainting_mask_invert: 0,
    ...(soft ? { alwayson_scripts: soft } : {}),
  });
}

export default {
  shares: SHARES, settings, stage, faults, ask,
  tools: () => (field("source") ? html`<easel-tools .kind=${"mask"}></easel-tools>` : nothing),
};
