// The bar of one line: where one is, what is drawn with, what the GPU does, and who one is.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { mark } from "../mark.js";
import { store } from "../store.js";
import { wordsOf } from "../remarks.js";
import { t } from "../texts.js";
import "./checkpoint.js";
import "./person.js";

const PLACES = ["create", "gallery", "models"];

class Bar extends EaselElement {
  static watches = ["session", "engine", "place", "tickets", "connection"];

  render() {
    const session = store.get("session"), place = store.get("place");
    return html`<header class="bar">
      <a class="home" href="#create">
        ${mark(28)}
        <h1><span class="product">Easel</span> <span class="endpoint">${session?.endpoint ?? ""}</span></h1>
      </a>
      <nav aria-label=${t("bar.places")}>
        ${PLACES.map((one) => html`<a href="#${one}" aria-current=${one === place ? "page" : nothing}
          >${t(`place.${one}`)}</a>`)}
      </nav>
      <easel-checkpoint></easel-checkpoint>
      <p class="gpu" data-phase=${store.get("engine")?.phase ?? "importing"} title=${this.device()}>${this.doing()}</p>
      <easel-person></easel-person>
    </header>`;
  }

  device() {
    const engine = store.get("engine");
    const said = [engine?.remark, engine?.width, engine?.uncompiled, engine?.unrecorded].map(wordsOf);
    return [engine?.device, ...said]
      .filter(Boolean)
      .join(" · ");
  }

  /** What the GPU does, in three words. */
  doing() {
    const engine = store.get("engine");
    // What it did before it went away is no news.
    if (!engine || store.get("connection") !== "ok") return "";
    if (engine.phase !== "ready") return t(`engine.${engine.phase}`);
    if (engine.running || engine.queued) {
      return t("engine.busy", { running: engine.running, queued: engine.queued, device: engine.device ?? "" });
    }
    return t("engine.idle", { device: engine.device ?? "" });
  }
}
customElements.define("easel-bar", Bar);
