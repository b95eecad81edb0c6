// Picture to picture: the source drawn anew, as far as one lets it.
import { html } from "../vendor/lit.js";
import { changeFields, over, overFaults, SHARES, sourceField } from "./drawing-over.js";
import "./describe.js";
import "./source-view.js";

export default {
  shares: SHARES,
  settings: () => html`${sourceField()}<easel-describe></easel-describe><div class="fields">${changeFields()}</div>`,
  stage: () => html`<easel-source-view></easel-source-view>`,
  faults: () => overFaults("denoising_strength"),
  ask: (fields) => over(fields, "image"),
};
