// Files dropped anywhere on the place, not only on a field that one has to find first.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { upload } from "./upload.js";

const MODELS = /\.(safetensors|gguf|ckpt|pt|pth|bin)$/i;

class ModelDrop extends EaselElement {
  connectedCallback() {
    super.connectedCallback();
    this.depth = 0;
    const handlers = { dragenter: this.enter, dragleave: this.leave, dragover: this.over, drop: this.take };
    for (const [name, handler] of Object.entries(handlers)) this.hear(document, name, handler.bind(this));
  }

  render() {
    return this.depth > 0 ? html`<div class="models-drop" aria-hidden="true"><p>${t("models.drop")}</p></div>` : nothing;
  }

  /** Whether files are held over this place. */
  concerns(event) {
    return store.get("place") === "models" && event.dataTransfer?.types.includes("Files");
  }

  enter(event) { if (this.concerns(event)) this.held(this.depth + 1); }

  leave(event) { if (this.concerns(event)) this.held(Math.max(0, this.depth - 1)); }

  over(event) { if (this.concerns(event)) event.preventDefault(); }

  take(event) {
    if (!this.concerns(event)) return;
    event.preventDefault();
    this.held(0);
    const files = [...event.dataTransfer.files];
    // Others are told why not by the studio, in words; a picture is a slip of the hand.
    upload(files.filter((one) => MODELS.test(one.name) || files.length === 1));
  }

  held(depth) {
    this.depth = depth;
    this.requestUpdate();
  }
}
customElements.define("easel-model-drop", ModelDrop);
