// Outpaint: the source in a larger frame, and what is new of it drawn.
import { html } from "../vendor/lit.js";
import { choice } from "../create/choice.js";
import { bring, faultsOf, field, range, setField } from "../create/fields.js";
import { saidOf } from "../create/number.js";
import { sizeFor } from "../create/source-size.js";
import { t } from "../texts.js";
import { over, overFaults, SHARES, sourceField } from "./drawing-over.js";
import { framed, growing, isExact, margins, SIDES, WAYS } from "./outpaint-frame.js";
import { blobOf, dataOfBlob } from "./sources.js";
import "./outpaint-stage.js";

const FILLS = ["fill", "original", "noise", "nothing"];
/** The words that A1111's script knows them by. */
const SCRIPT_FILLS = ["fill", "original", "latent noise", "latent nothing"];
const NUMBERS = ["denoising_strength", "outpaint_blur"];
bring(
  {
    outpaint_way: "frame", outpaint_left: 0, outpaint_up: 0, outpaint_right: 0, outpaint_down: 0, outpaint_pixels: 128, outpaint_blur: 8,
    outpaint_fill: "0", outpaint_falloff: 1, outpaint_colour: 0.05,
  },
  {
    outpaint_left: [0, 1024], outpaint_up: [0, 1024], outpaint_right: [0, 1024], outpaint_down: [0, 1024], outpaint_pixels: [8, 256],
    outpaint_blur: [0, 64], outpaint_falloff: [0, 4], outpaint_colour: [0, 1],
  },
);

function settings() {
  const exact = isExact(), mk2 = field("outpaint_way") === "mk2";
  return html`${sourceField()}
    ${choice("outpaint_way", Object.keys(WAYS).map((name) => ({ name, label: t(`editor.way.${name}`) })))}
    ${exact ? html`<fieldset class="sides-grown" data-says="sides"><legend>${t("editor.sides")}</legend>
      ${SIDES.map((side) => html`<easel-number name="outpaint_${side}" step="8"></easel-number>`)}${saidOf("sides")}</fieldset>`
      : html`<fieldset data-says="sides"><legend>${t("editor.sides.which")}</legend>
        <div class="sides-chosen">${SIDES.map((side) => html`<label class="tick"><input type="checkbox" .checked=${field(`outpaint_${side}`) > 0}
          @change=${(event) => setField(`outpaint_${side}`, event.target.checked ? field("outpaint_pixels") : 0)}> ${t(`create.outpaint_${side}`)}</label>`)}</div>
        ${saidOf("sides")}</fieldset>`}
    <div class="fields">
      ${exact ? "" : html`<easel-number name="outpaint_pixels" step="8" slider></easel-number>`}
      <easel-number name="denoising_strength" step="0.01" slider></easel-number>
      <easel-number name="outpaint_blur"></easel-number>
      ${mk2 ? html`<easel-number name="outpaint_falloff" step="0.01"></easel-number><easel-number name="outpaint_colour" step="0.01"></easel-number>`
        : choice("outpaint_fill", FILLS.map((name, number) => ({ name: String(number), label: t(`editor.fill.${name}`) })))}
    </div>`;
}

function faults() {
  const exact = isExact(), source = field("source");
  const numbers = exact ? [...NUMBERS, ...SIDES.map((side) => `outpaint_${side}`)] : [...NUMBERS, "outpaint_pixels"];
  const found = { ...overFaults(...numbers), ...(field("outpaint_way") === "mk2" ? faultsOf(["outpaint_falloff", "outpaint_colour"]) : {}) };
  if (!growing().length) return { ...found, sides: t("editor.fault.sides") };
  const most = range("width")[1], size = source && framed(source);
  if (source && exact && Math.max(size.width, size.height) > most) return { ...found, sides: t("editor.fault.frame", { ...size, most }) };
  return found;
}

/** The source in its frame, its edges drawn out, and a mask of what is new. */
async function frame() {
  const source = field("source"), { left, up } = margins(source), size = framed(source), picture = await createImageBitmap(await blobOf(source));
  const canvas = () => Object.assign(document.createElement("canvas"), size), sheet = canvas(), mask = canvas();
  const { width, height } = source, right = size.width - left - width, down = size.height - up - height;
  const context = sheet.getContext("2d"), spread = (x, y, w, h, toX, toY, toW, toH) => toW && toH && context.drawImage(picture, x, y, w, h, toX, toY, toW, toH);
  // Rows and columns at the edge, then the corners: what lies outside begins with the colours beside it.
  spread(0, 0, 1, height, 0, up, left, height);
  spread(width - 1, 0, 1, height, left + width, up, right, height);
  spread(0, 0, width, 1, left, 0, width, up);
  spread(0, height - 1, width, 1, left, up + height, width, down);
  spread(0, 0, 1, 1, 0, 0, left, up);
  spread(width - 1, 0, 1, 1, left + width, 0, right, up);
  spread(0, height - 1, 1, 1, 0, up + height, left, down);
  spread(width - 1, height - 1, 1, 1, left + width, up + height, right, down);
  context.drawImage(picture, left, up, width, height);
  const masked = mask.getContext("2d"), blur = field("outpaint_blur"), into = (grown) => (grown ? blur : 0);
  masked.fillStyle = "#fff";
  masked.fillRect(0, 0, size.width, size.height);
  masked.fillStyle = "#000";
  masked.fillRect(left + into(left), up + into(up), width - into(left) - into(right), height - into(up) - into(down));
  const file = (one) => new Promise((done) => one.toBlob(done));
  return { picture: await dataOfBlob(await file(sheet)), mask: await dataOfBlob(await file(mask)), ...size };
}

async function ask(fields) {
  if (isExact()) {
    const { picture, mask, width, height } = await frame();
    return over(fields, "outpaint", {
      init_images: [picture], mask, width, height, mask_blur: field("outpaint_blur"), inpainting_fill: Number(field("outpaint_fill")),
      inpaint_full_res: false, inpainting_mask_invert: 0, resize_mode: 0,
    });
  }
  const way = field("outpaint_way"), pixels = field("outpaint_pixels"), blur = field("outpaint_blur");
  const args = way === "mk2" ? [null, pixels, blur, growing(), field("outpaint_falloff"), field("outpaint_colour")]
    : [pixels, blur, SCRIPT_FILLS[Number(field("outpaint_fill"))], growing()];
  return over(fields, "outpaint", { script_name: WAYS[way], script_args: args, resize_mode: 0, ...sizeFor(field("source")) });
}

export default {
  shares: SHARES.filter((part) => part !== "size"), settings, faults, ask,
  stage: () => html`<easel-outpaint></easel-outpaint>`,
};
