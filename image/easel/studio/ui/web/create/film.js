// The filmstrip: the newest pictures, small, under the stage.
import { html, nothing, repeat } from "../vendor/lit.js";
import { EaselElement, styled } from "../element.js";
import { at } from "../api.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { shownPicture, shownTicket, showPicture } from "./shown.js";

const SKELETONS = 8;

class Film extends EaselElement {
  static watches = ["pictures", "shown", "live", "tickets", "comparing", "session"];

  render() {
    const pictures = store.get("pictures"), shown = shownTicket() ? null : shownPicture();
    if (!store.get("session")) {
      return html`<ul class="film" aria-hidden="true">${Array.from({ length: SKELETONS }, () => html`<li class="shimmer"></li>`)}</ul>`;
    }
    return html`<ul class="film" aria-label=${t("stage.film")}>
      ${repeat(pictures, (one) => one.id, (one, place) => html`<li><button type="button"
        tabindex=${one === shown || (!shown && place === 0) ? "0" : "-1"} aria-current=${one === shown ? "true" : nothing}
        data-compared=${one.id === store.get("comparing") ? "yes" : nothing}
        aria-label=${one.prompt || t("stage.picture-alt")} @click=${() => this.choose(one)}>
        <img src=${at(one.small)} alt="" loading="lazy" ${styled({ "--ratio": `${one.width || 1} / ${one.height || 1}` })}>
        ${one.starred ? html`<i class="starred" aria-hidden="true">★</i>` : nothing}</button></li>`)}
      ${pictures.length ? html`<li class="all"><a href="#gallery">${t("stage.all")}</a></li>` : nothing}
    </ul>`;
  }

  choose(picture) {
    if (store.get("comparing") && picture !== shownPicture()) store.set("comparing", picture.id);
    else showPicture(picture);
  }

  updated() {
    const one = this.querySelector("[aria-current]");
    if (!one || one === this.last) return;
    this.last = one;
    // After the tickets beside this have been drawn as well: they take room in the same strip.
    requestAnimationFrame(() => this.bring(one));
  }

  /** Only along the strip, and only by what is missing: `scrollIntoView` would move the page as well. */
  bring(one) {
    const strip = this.closest(".strip"), there = one.getBoundingClientRect(), room = strip.getBoundingClientRect();
    if (!one.parentElement.previousElementSibling) strip.scrollLeft = 0;
    else if (there.left < room.left) strip.scrollLeft -= room.left - there.left + 8;
    else if (there.right > room.right) strip.scrollLeft += there.right - room.right + 8;
  }
}
customElements.define("easel-film", Film);
