// Batch: the same with each of several pictures, or with each of several lines of words.
import { html } from "../vendor/lit.js";
import { drawing } from "../create/body.js";
import { choice, tick } from "../create/choice.js";
import { bring, faultsOf, field, setField } from "../create/fields.js";
import { saidOf } from "../create/number.js";
import { sizeFor } from "../create/source-size.js";
import { t } from "../texts.js";
import { changeFields, over, SHARES } from "./drawing-over.js";
import { allSources } from "./many-sources.js";
import { dataOf } from "./sources.js";
import "./source-view.js";

const SCRIPT = "prompts from file or textbox", MOST_LINES = 1600;
bring({ batch_of: "pictures", batch_own_size: true, batch_lines: "", batch_iterate: false, batch_same_seed: false, batch_position: "start" });

const ofLines = () => field("batch_of") === "lines";
const lines = () => field("batch_lines").split("\n").map((line) => line.trim()).filter(Boolean);

function settings() {
  const of = (kind) => html`<button type="button" aria-pressed=${field("batch_of") === kind} @click=${() => setField("batch_of", kind)}>${t(`editor.batch.${kind}`)}</button>`;
  return html`<fieldset><legend>${t("editor.batch.of")}</legend><div class="segments">${of("pictures")}${of("lines")}</div></fieldset>
    ${ofLines() ? html`
      <div class="field" data-says="batch_lines"><label for="field-batch_lines">${t("create.batch_lines")}</label>
        <textarea id="field-batch_lines" rows="6" data-tip=${t("create.batch_lines.tip")} placeholder=${t("editor.batch.example")} .value=${field("batch_lines")}
          @input=${(event) => setField("batch_lines", event.target.value)}></textarea>
        <small class="soft">${t("editor.batch.count", { n: lines().length })}</small>${saidOf("batch_lines")}</div>
      <div class="fields">${choice("batch_position", ["start", "end"].map((name) => ({ name, label: t(`editor.batch.${name}`) })))}
        <span></span><span class="wide">${tick("batch_iterate")}</span><span class="wide">${tick("batch_same_seed")}</span></div>`
      : html`<easel-sources></easel-sources><div class="fields">${changeFields()}<span class="wide">${tick("batch_own_size")}</span></div>`}`;
}

function faults() {
  if (!ofLines()) return { ...(allSources().length ? {} : { source: t("editor.fault.source") }), ...faultsOf(["denoising_strength"]) };
  const count = lines().length;
  if (!count) return { batch_lines: t("editor.fault.lines") };
  return count > MOST_LINES ? { batch_lines: t("create.fault.most", { n: MOST_LINES }) } : {};
}

async function ask(fields) {
  if (ofLines()) {
    const script_args = [field("batch_iterate"), field("batch_same_seed"), field("batch_position"), lines().join("\n")];
    return { route: "sdapi/v1/txt2img", body: { ...await drawing(fields, "text"), script_name: SCRIPT, script_args } };
  }
  return Promise.all(allSources().map(async (source) => over(fields, "batch", {
    init_images: [await dataOf(source)], ...(field("batch_own_size") ? sizeFor(source) : {}),
  })));
}

export default {
  get shares() { return !ofLines() && field("batch_own_size") ? SHARES.filter((part) => part !== "size") : SHARES; },
  settings, faults, ask,
  get stage() { return ofLines() ? undefined : () => html`<easel-source-view></easel-source-view>`; },
};
