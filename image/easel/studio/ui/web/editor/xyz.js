// X/Y/Z: a picture for each combination of up to three things, and a grid of all.
import { html, nothing } from "../vendor/lit.js";
import { drawing } from "../create/body.js";
import { bring, faultsOf, field, setField } from "../create/fields.js";
import { t } from "../texts.js";
import { valuesOn } from "./axes.js";
import { changeFields, over, overFaults, SHARES, sourceField } from "./drawing-over.js";
import { axisNow, cells } from "./xyz-fields.js";

const SCRIPT = "x/y/z plot", MOST_CELLS = 1600, LETTERS = ["x", "y", "z"];
bring(
  {
    xyz_over: "text", x_type: "Steps", x_values: "", y_type: "Nothing", y_values: "", z_type: "Nothing", z_values: "",
    xyz_legend: true, xyz_lone: false, xyz_sub: false, xyz_keep: false, xyz_margin: 0,
  },
  { xyz_margin: [0, 500] },
);

const overPicture = () => field("xyz_over") === "image";

function settings() {
  const from = (kind) => html`<button type="button" aria-pressed=${field("xyz_over") === kind} @click=${() => setField("xyz_over", kind)}>${t(`xyz.over.${kind}`)}</button>`;
  return html`<fieldset><legend>${t("xyz.over")}</legend><div class="segments">${from("text")}${from("image")}</div></fieldset>
    ${overPicture() ? html`${sourceField()}<div class="fields">${changeFields()}</div>` : nothing}
    <easel-xyz></easel-xyz>`;
}

function faults() {
  const found = overPicture() ? overFaults("denoising_strength", "xyz_margin") : faultsOf(["xyz_margin"]);
  for (const letter of LETTERS) {
    const count = valuesOn(axisNow(letter), field(`${letter}_values`));
    if (!(count > 0)) found[`${letter}_values`] = t(Number.isNaN(count) ? `xyz.fault.${axisNow(letter).kind}` : "xyz.fault.none");
  }
  if (cells() > MOST_CELLS) found.x_values = t("xyz.fault.most", { n: cells(), most: MOST_CELLS });
  return found;
}

async function ask(fields) {
  const axes = LETTERS.flatMap((letter) => [axisNow(letter).label, field(`${letter}_values`), null]);
  const more = {
    script_name: SCRIPT,
    script_args: [...axes, field("xyz_legend"), field("xyz_lone"), field("xyz_sub"), field("xyz_keep"), false, false, false, field("xyz_margin"), true],
  };
  if (overPicture()) return over(fields, "xyz", more);
  return { route: "sdapi/v1/txt2img", body: { ...await drawing(fields, "text"), ...more } };
}

export default { shares: SHARES, settings, faults, ask };
