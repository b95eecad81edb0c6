// The checkpoint that is drawn with: its picture, its name, whether it is loaded, and the choice of another.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { choose } from "../actions.js";
import { at } from "../api.js";
import { tell } from "../notices.js";
import { store } from "../store.js";
import { t } from "../texts.js";

/** A checkpoint's name without what only files need: its ending, and the hash that A1111 puts behind. */
const titleOf = ({ title }) => title.replace(/(\.safetensors|\.gguf)?( \[\w+\])?$/, "");

function faceOf({ preview }) {
  const face = document.createElement(preview ? "img" : "span");
  if (preview) Object.assign(face, { src: at(preview), alt: "", loading: "lazy" });
  face.className = preview ? "face" : "face blank";
  face.dataset.of = preview ?? "";
  return face;
}

class Checkpoint extends EaselElement {
  static watches = ["session", "engine", "connection"];

  render() {
    const session = store.get("session"), chosen = session?.checkpoint;
    const known = session?.checkpoints ?? [];
    return html`<div class="checkpoint">
      ${chosen?.preview ? html`<img src=${at(chosen.preview)} alt="" width="28" height="28">`
        : html`<span class="blank" aria-hidden="true"></span>`}
      <label class="sr" for="checkpoint">${t("bar.checkpoint")}</label>
      <select id="checkpoint" data-tip=${t("bar.checkpoint.tip")} ?disabled=${!known.length}
              @change=${this.choose}>
        ${known.length ? nothing : html`<option>${t(session ? "bar.checkpoint.none" : "loading")}</option>`}
        ${known.length && !chosen ? html`<option value="" selected disabled>${t("bar.checkpoint.choose")}</option>` : nothing}
        ${known.map((one) => html`<option value=${one.name} ?selected=${one.name === chosen?.name}>
          ${titleOf(one)}${one.label ? ` · ${one.label}` : ""}</option>`)}
      </select>
      <span class="load" data-state=${this.state()} role="status">${t(`checkpoint.${this.state()}`)}</span>
    </div>`;
  }

  /**
   * Where a browser shows more than text in a list: each checkpoint's preview before its name. Not in the template: other
   * browsers' parsers throw elements out of options.
   */
  updated() {
    if (!CSS.supports("appearance", "base-select")) return;
    for (const option of this.querySelectorAll("option")) {
      const one = store.get("session")?.checkpoints?.find(({ name }) => name === option.value), before = option.querySelector(":scope > .face");
      if (before?.dataset.of === (one?.preview ?? "")) continue;
      before?.remove();
      if (one) option.prepend(faceOf(one));
    }
  }

  async choose(event) {
    try {
      await choose(event.target.value);
    } catch (error) {
      tell(error.words, { bad: true });
    }
  }

  /** Whether the choice is on the device: `loaded`, `loading`, or `waiting` until somebody draws with it. */
  state() {
    const engine = store.get("engine"), chosen = store.get("session")?.checkpoint;
    if (!chosen || !engine || store.get("connection") !== "ok") return "unknown";
    if (engine.phase === "loading") return "loading";
    return engine.loaded === chosen.name ? "loaded" : "waiting";
  }
}
customElements.define("easel-checkpoint", Checkpoint);
