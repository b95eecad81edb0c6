// Pictures that a checkpoint which edits looks at, beside a source or without one.
import { html } from "../vendor/lit.js";
import { checkpoint, field, sayOf, setFields } from "../create/fields.js";
import { stylesheet } from "../stylesheet.js";
import { t } from "../texts.js";
import { ManySources } from "./many-sources.js";
import { sourceOfPicture } from "./sources.js";

class References extends ManySources {
  static ABOUT = { field: "reference_images", says: "reference_images", legend: "editor.references" };

  connectedCallback() {
    super.connectedCallback();
    stylesheet("style/editor.css");
  }

  more() { return html`<p class="soft">${t("editor.references.more")}</p>`; }

  all() { return field("reference_images"); }

  put(some) {
    const most = checkpoint()?.references || some.length;
    setFields({ reference_images: some.length ? some.slice(0, most) : undefined });
    if (some.length > most) sayOf("reference_images", t("editor.references.most", { n: most }), true);
  }

  takeShown(picture) { this.put([...this.all(), sourceOfPicture(picture)]); }
}
customElements.define("easel-references", References);
