// Says across the page that the studio is away, asleep, or that the person is signed out, and what to do.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { wordsOf } from "../remarks.js";
import { store } from "../store.js";
import { t } from "../texts.js";

class Connection extends EaselElement {
  static watches = ["connection", "engine"];

  render() {
    const state = store.get("connection"), failed = store.get("engine")?.phase === "failed";
    if (state === "ok" && !failed) return nothing;
    const kind = state === "ok" ? "failed" : state;
    const words = kind === "failed" ? wordsOf(store.get("engine").remark) || t("engine.failed") : t(`connection.${kind}`);
    return html`<div class="connection" role="status" data-kind=${kind}>
      <span>${words}</span>
      ${kind === "signed-out" || kind === "asleep" ? html`
        <a class="button" href=${location.pathname + location.search}>${t(`connection.${kind}.act`)}</a>` : nothing}
    </div>`;
  }
}
customElements.define("easel-connection", Connection);
