// One picture among many: small, square, with its star and, where pictures can be selected, a box.
import { html, live, nothing } from "../vendor/lit.js";
import { styled } from "../element.js";
import { at } from "../api.js";
import { t } from "../texts.js";

/**
 * @param {{picture: object, spot: {x: number, y: number}, selection: object | null, reachable: boolean, place: number,
 *   size: number}} said `reachable`: Tab leads here, and arrows to the others
 */
export function tile({ picture, spot, selection, reachable, place, size }) {
  const selected = Boolean(selection?.has(picture.id));
  const name = picture.prompt || t("gallery.untitled");
  return html`<li data-id=${picture.id} aria-setsize=${size} aria-posinset=${place} class=${selected ? "selected" : ""}
    ${styled({ transform: `translate(${spot.x}px, ${spot.y}px)` })}>
    <button class="tile" tabindex=${reachable ? "0" : "-1"} aria-label=${picture.starred ? t("gallery.starred-one", { name }) : name}
      aria-description=${selected ? t("gallery.selected-one") : nothing}>
      <img src=${at(picture.small)} alt="" decoding="async" draggable="false">
      ${picture.starred ? html`<span class="starred" aria-hidden="true">★</span>` : nothing}
    </button>
    ${selection ? html`<label class="pick"><input type="checkbox" tabindex="-1" .checked=${live(selected)}
      aria-label=${t("gallery.select", { name })}></label>` : nothing}
  </li>`;
}
