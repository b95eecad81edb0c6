// Which text encoder reads the prompt, where there are several files that a checkpoint could draw with.
import { html } from "../vendor/lit.js";
import { t } from "../texts.js";
import { checkpoint, field, setField } from "./fields.js";
import { saidOf } from "./number.js";

const AUTOMATIC = "Automatic";

/** @returns {{label: string, files: string[]}[]} for each text encoder that there is a choice of */
const choices = () => checkpoint()?.text_encoders ?? [];

/** Those of the files that were chosen that the checkpoint can draw with. */
export const chosenEncoders = () => choices().flatMap(({ files }) => files.filter((one) => field("modules").includes(one)));

/** A `<select>` for each of them; nothing where there is no choice. */
export const encoders = () => choices().map(({ label, files }, index) => {
  const chosen = files.find((one) => field("modules").includes(one)) ?? AUTOMATIC, id = `field-encoder-${index}`;
  return html`<div class="field" data-says="modules">
    <label for=${id}>${t("create.text_encoder", { name: label })}</label>
    <select id=${id} data-tip=${t("create.text_encoder.tip")} @change=${(event) => choose(files, event.target.value)}>
      ${[AUTOMATIC, ...files].map((one) => html`<option value=${one} .selected=${one === chosen}>${one}</option>`)}
    </select>
    ${index ? "" : saidOf("modules")}
  </div>`;
});

function choose(files, chosen) {
  const others = field("modules").filter((one) => !files.includes(one));
  setField("modules", chosen === AUTOMATIC ? others : [...others, chosen]);
}
