// Sketch: colours over the source, or on an empty canvas, drawn over then.
import { html } from "../vendor/lit.js";
import { faultsOf, field } from "../create/fields.js";
import { changeFields, over, SHARES, sourceField } from "./drawing-over.js";
import { groundOf, isPainted, layerOver } from "./layers.js";
import { blobOf, dataOfBlob } from "./sources.js";
import "./painter.js";
import "./tools.js";

/** Without a source one paints on white, as large as what is drawn. */
function ground() {
  const [width, height] = [field("width"), field("height")];
  return groundOf(field("source")) ?? { id: `empty ${width} ${height}`, width, height };
}

/** The source with what was painted over it. @returns {Promise<string>} a data: URI */
async function flattened() {
  const source = field("source"), under = ground(), layer = await layerOver("sketch", under);
  if (source && !isPainted("sketch", under)) return dataOfBlob(await blobOf(source));
  const sheet = Object.assign(document.createElement("canvas"), { width: layer.width, height: layer.height });
  const context = sheet.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, sheet.width, sheet.height);
  if (source) context.drawImage(await createImageBitmap(await blobOf(source)), 0, 0, sheet.width, sheet.height);
  context.drawImage(layer.canvas, 0, 0);
  return dataOfBlob(await new Promise((done) => sheet.toBlob(done)));
}

export default {
  shares: SHARES,
  settings: () => html`${sourceField()}<div class="fields">${changeFields()}</div>`,
  stage: () => html`<easel-painter .kind=${"sketch"} .ground=${ground()} .source=${field("source") ?? null}></easel-painter>`,
  tools: () => html`<easel-tools .kind=${"sketch"}></easel-tools>`,
  faults: () => faultsOf(["denoising_strength"]),
  ask: async (fields) => over(fields, "sketch", { init_images: [await flattened()] }),
};
