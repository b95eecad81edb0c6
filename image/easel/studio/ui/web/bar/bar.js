// The bar of one line: where one is, what is drawn with, what the GPU does, and who one is.
import { html, nothing, svg } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import "./checkpoint.js";
import "./person.js";

// Drawn here and not fetched: its lines take the colour of the text, dark or light.
const MARK = svg`<svg class="mark" viewBox="0 0 44 44" width="28" height="28" aria-hidden="true"><path d="M11 5h22a4 4 0 0 1 4 4v16a4
  4 0 0 1-4 4H11a4 4 0 0 1-4-4V9a4 4 0 0 1 4-4ZM14 29 8 41M30 29l6 12M22 29v9" fill="none" stroke="currentColor"
  stroke-width="2.5" stroke-linecap="round"/><circle cx="17" cy="14" r="4" fill="#f2a33a"/><path fill="#5b4fe0"
  d="m10 26 9-7 5 4 6-6 5 5v3a2 2 0 0 1-2 2H12a2 2 0 0 1-2-1Z"/></svg>`;
const PLACES = ["create", "gallery", "models"];

class Bar extends EaselElement {
  static watches = ["session", "engine", "place", "tickets"];

  render() {
    const session = store.get("session"), place = store.get("place");
    return html`<header class="bar">
      <a class="home" href="#create">
        ${MARK}
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
    return [engine?.device, engine?.detail].filter(Boolean).join(" · ");
  }

  /** What the GPU does, in three words. */
  doing() {
    const engine = store.get("engine");
    if (!engine) return "";
    if (engine.phase !== "ready") return t(`engine.${engine.phase}`);
    if (engine.running || engine.queued) {
      return t("engine.busy", { running: engine.running, queued: engine.queued, device: engine.device ?? "" });
    }
    return t("engine.idle", { device: engine.device ?? "" });
  }
}
customElements.define("easel-bar", Bar);
