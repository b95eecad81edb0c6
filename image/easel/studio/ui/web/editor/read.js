// Read: what a picture, or a text, says of how it was drawn.
import { html } from "../vendor/lit.js";
import { use } from "../actions.js";
import { sayOf } from "../create/fields.js";
import { wordsOf } from "../remarks.js";
import { t } from "../texts.js";
import { readNow, toRead } from "./parameters.js";
import "./describe.js";
import "./source.js";
import "./source-view.js";

export default {
  shares: [],
  settings: () => html`<easel-source></easel-source><easel-read-parameters></easel-read-parameters><easel-describe></easel-describe>`,
  stage: () => html`<easel-source-view></easel-source-view>`,
  faults: () => (toRead() ? {} : { source: t("editor.fault.read") }),
  action: "editor.read.use",
  async act() {
    const { request, remarks } = await readNow();
    if (Object.keys(request).length) await use(request, remarks);
    else sayOf("source", wordsOf(remarks[0]), true);
  },
};
