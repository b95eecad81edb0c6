// The page: a bar, and one of three places under it.
import { html, nothing } from "./vendor/lit.js";
import { EaselElement } from "./element.js";
import { listen, refresh } from "./events.js";
import { chosen, speak, t } from "./texts.js";
import { store } from "./store.js";
import { stylesheet } from "./stylesheet.js";
import "./bar/bar.js";
import "./bar/connection.js";
import { tell } from "./notices.js";
import "./drops.js";
import "./tooltip.js";
import "./create/create.js";

/** Places by their hash: `#gallery`. Only the first is there from the start; a visit pays for what it opens. */
const PLACES = {
  create: { element: () => html`<easel-create></easel-create>` },
  gallery: {
    element: () => html`<easel-gallery></easel-gallery>`,
    load: () => import("./gallery/gallery.js"), style: "style/gallery.css",
  },
  models: {
    element: () => html`<easel-models></easel-models>`,
    load: () => import("./models/models.js"), style: "style/models.css",
  },
  shared: {
    element: () => html`<easel-shared></easel-shared>`,
    load: () => import("./gallery/shared.js"), style: "style/gallery.css",
  },
};

/** The place that the address names. */
function named() {
  const name = location.hash.slice(1).split("/")[0];
  return name in PLACES ? name : "create";
}

class App extends EaselElement {
  static watches = ["session", "place", "connection"];

  /** How far each place was scrolled when it was left: the window scrolls for all of them. */
  scrolled = {};

  /** Places that were opened; they stay, so that going back costs nothing and loses nothing. */
  opened = new Set(["create"]);

  connectedCallback() {
    super.connectedCallback();
    addEventListener("hashchange", () => this.go());
    // From the first moment on: nobody sees another place flash who comes by a link.
    store.set("place", named());
    this.start();
  }

  async start() {
    // Beside each other: the words come from a cache mostly, what the studio knows never does.
    const asked = refresh().catch(() => { /* it stands in `connection`, and listen() goes on asking */ });
    await speak(chosen());
    this.spoken = true;
    this.go();
    await asked;
    listen();
    // What this device kept of the last visit has another place, perhaps; the address counts.
    this.go();
  }

  /** Open the place that the address names. */
  async go() {
    const place = named();
    if (!this.opened.has(place)) {
      try {
        await Promise.all([PLACES[place].load(), stylesheet(PLACES[place].style)]);
      } catch {
        return reloadOnce();
      }
      this.opened.add(place);
    }
    // Whoever went elsewhere meanwhile stays there.
    if (place !== named()) return;
    const before = store.get("place");
    if (before === place) return this.requestUpdate();
    this.scrolled[before] = scrollY;
    store.set("place", place);
    await this.updateComplete;
    // Not before the place has found its height again.
    requestAnimationFrame(() => store.get("place") === place && scrollTo(0, this.scrolled[place] ?? 0));
  }

  render() {
    // Not before there are words: what would stand in their places has other widths, and everything would jump.
    if (!this.spoken) return nothing;
    const place = store.get("place");
    return html`
      <a class="skip" href="#main" @click=${this.skip}>${t("app.skip")}</a>
      <easel-bar></easel-bar>
      <easel-connection></easel-connection>
      <main id="main" tabindex="-1" aria-busy=${store.get("session") ? "false" : "true"}>
        ${[...this.opened].map((one) => html`
          <div class="place" data-place=${one} ?hidden=${one !== place}>${PLACES[one].element()}</div>`)}
      </main>
      <easel-notices></easel-notices>`;
  }

  skip(event) {
    event.preventDefault();
    document.getElementById("main").focus();
  }
}
customElements.define("easel-app", App);

/**
 * The studio was updated, and this tab's files are gone: the new page knows the place, and all fields are kept. Once: where
 * it does not help, loading again for ever would not either.
 */
function reloadOnce() {
  const tried = "easel:reloaded", state = import.meta.url;
  if (sessionStorage.getItem(tried) === state) return tell(t("error.unreachable"), { bad: true });
  sessionStorage.setItem(tried, state);
  location.reload();
}
