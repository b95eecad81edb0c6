// What the modes have in common that draw over a picture: A1111's img2img.
import { html } from "../vendor/lit.js";
import { drawing } from "../create/body.js";
import { choice } from "../create/choice.js";
import { bring, faultsOf, field } from "../create/fields.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { dataOf } from "./sources.js";
import "./source.js";

bring({ resize_mode: "0" });

/** What of the common form such a mode shows. */
export const SHARES = ["prompt", "negative", "size", "count", "seed", "references", "advanced"];

export const sourceField = () => html`<easel-source></easel-source>`;

/** How much of the picture may change, and how it comes to the size that is drawn. */
export function changeFields() {
  const modes = (store.get("session")?.choices?.resize_modes ?? []).map((one) => ({ name: String(one.value), label: t(`editor.resize.${one.name}`) }));
  return html`<easel-number name="denoising_strength" step="0.01" slider></easel-number>${choice("resize_mode", modes)}`;
}

/** Why nothing can be drawn: no picture, or one of the numbers. */
export const overFaults = (...numbers) => ({ ...(field("source") ? {} : { source: t("editor.fault.source") }), ...faultsOf(numbers) });

/** A1111's img2img body. @param {string} mode @param {object} more what the mode adds or replaces */
export async function over(fields, mode, more = {}) {
  const { alwayson_scripts, ...rest } = more, body = await drawing(fields, mode);
  return {
    route: "sdapi/v1/img2img",
    body: {
      ...body, denoising_strength: field("denoising_strength"), resize_mode: Number(field("resize_mode")),
      ...(rest.init_images ? {} : { init_images: [await dataOf(field("source"))] }), ...rest,
      ...(alwayson_scripts || body.alwayson_scripts ? { alwayson_scripts: { ...body.alwayson_scripts, ...alwayson_scripts } } : {}),
    },
  };
}
