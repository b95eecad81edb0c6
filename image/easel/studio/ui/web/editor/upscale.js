// Upscale: pictures made larger, nothing drawn anew. A1111's extras.
import { html, nothing } from "../vendor/lit.js";
import { get } from "../api.js";
import { choice, tick } from "../create/choice.js";
import { bring, faultsOf, field, setField } from "../create/fields.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { allSources } from "./many-sources.js";
import { dataOf } from "./sources.js";
import "./source-view.js";

/** A1111's own two that know nothing of pictures; any other is the better first choice. */
const PLAIN = ["None", "Lanczos", "Nearest"];
const names = () => (store.get("session")?.choices?.upscalers ?? []).map((one) => one.name);
/** A1111's name for no upscaler, in the page's words. */
const labelled = () => names().map((name) => ({ name, label: name === "None" ? t("create.refiner.none") : name }));
const preferred = () => names().find((one) => !PLAIN.includes(one)) ?? "Lanczos";
bring(
  {
    upscaling_resize: 2, upscaling_to: false, upscaling_resize_w: 1024, upscaling_resize_h: 1024, upscaling_crop: true, upscaler_1: preferred(),
    upscaler_2: "None", extras_upscaler_2_visibility: 0.5, gfpgan_visibility: 0,
  },
  {
    upscaling_resize: [1, 16], upscaling_resize_w: [1, 16384], upscaling_resize_h: [1, 16384], extras_upscaler_2_visibility: [0, 1],
    gfpgan_visibility: [0, 1],
  },
);

/** Whether this endpoint has a face restorer: A1111's field for GFPGAN asks for whichever there is. */
let restores = false;
get("sdapi/v1/face-restorers").then((found) => {
  restores = found.length > 0;
  setField("gfpgan_visibility", store.get("fields").gfpgan_visibility);
}, () => { /* none is offered */ });

const sizes = () => (field("upscaling_to") ? ["upscaling_resize_w", "upscaling_resize_h"] : ["upscaling_resize"]);

function settings() {
  const to = field("upscaling_to"), second = field("upscaler_2") !== "None";
  const by = (exact) => html`<button type="button" aria-pressed=${to === exact} @click=${() => setField("upscaling_to", exact)}>${t(exact ? "editor.upscale.to" : "editor.upscale.by")}</button>`;
  return html`<easel-sources></easel-sources>
    <fieldset><legend>${t("create.size")}</legend><div class="segments">${by(false)}${by(true)}</div></fieldset>
    <div class="fields">
      ${to ? html`<easel-number name="upscaling_resize_w"></easel-number><easel-number name="upscaling_resize_h"></easel-number>
        <span class="wide">${tick("upscaling_crop")}</span>` : html`<easel-number name="upscaling_resize" step="0.05" slider></easel-number>`}
      <p class="soft wide">${becomes()}</p>
      ${choice("upscaler_1", labelled())}
      ${choice("upscaler_2", labelled())}
      ${second ? html`<easel-number name="extras_upscaler_2_visibility" step="0.01" slider></easel-number>` : nothing}
      ${restores ? html`<easel-number name="gfpgan_visibility" step="0.01" slider></easel-number>` : nothing}
    </div>`;
}

/** What comes out, in words. */
function becomes() {
  const [first, ...more] = allSources();
  if (!first || Object.keys(faultsOf(sizes())).length) return "";
  let size = { width: Math.floor(first.width * field("upscaling_resize")), height: Math.floor(first.height * field("upscaling_resize")) };
  if (field("upscaling_to")) {
    const width = field("upscaling_resize_w"), height = field("upscaling_resize_h"), by = Math.max(width / first.width, height / first.height);
    size = field("upscaling_crop") ? { width, height } : { width: Math.round(first.width * by), height: Math.round(first.height * by) };
  }
  const words = t("editor.upscale.becomes", { from: `${first.width} × ${first.height}`, ...size });
  return more.length ? `${words} · ${t("editor.upscale.more", { n: more.length })}` : words;
}

function faults() {
  const more = [...sizes(), ...(field("upscaler_2") !== "None" ? ["extras_upscaler_2_visibility"] : []), ...(restores ? ["gfpgan_visibility"] : [])];
  return { ...(allSources().length ? {} : { source: t("editor.fault.source") }), ...faultsOf(more) };
}

async function ask() {
  const to = field("upscaling_to"), sources = allSources();
  const body = {
    resize_mode: to ? 1 : 0, ...Object.fromEntries(sizes().map((name) => [name, field(name)])), ...(to ? { upscaling_crop: field("upscaling_crop") } : {}),
    upscaler_1: field("upscaler_1"), upscaler_2: field("upscaler_2"),
    extras_upscaler_2_visibility: field("upscaler_2") === "None" ? 0 : field("extras_upscaler_2_visibility"),
    ...(restores ? { gfpgan_visibility: field("gfpgan_visibility") } : {}),
  };
  if (sources.length === 1) return { route: "sdapi/v1/extra-single-image", body: { ...body, image: await dataOf(sources[0]) } };
  const imageList = await Promise.all(sources.map(async (one) => ({ data: await dataOf(one), name: one.name })));
  return { route: "sdapi/v1/extra-batch-images", body: { ...body, imageList } };
}

export default {
  shares: [], settings, faults, ask, action: "editor.upscale.act",
  stage: () => html`<easel-source-view></easel-source-view>`,
};
