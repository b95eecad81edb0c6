// One picture: fitted to the room there is, enlarged by wheel, pinch or double click, moved by dragging.
import { html } from "../vendor/lit.js";
import { EaselElement, styled } from "../element.js";
import { at } from "../api.js";
import { t } from "../texts.js";
import { Zoom } from "../zoom.js";
import { step } from "./shown.js";

const SWIPE = 60;

class View extends EaselElement {
  static properties = { picture: {} };

  constructor() {
    super();
    this.zoom = new Zoom(() => {
      const sheet = this.querySelector(".sheet");
      return { frame: this.querySelector(".view").getBoundingClientRect(), width: sheet.offsetWidth, height: sheet.offsetHeight };
    });
    this.pointers = new Map();
  }

  willUpdate(changed) {
    if (changed.has("picture") && changed.get("picture")?.id !== this.picture?.id) this.zoom.fit();
  }

  render() {
    const { picture } = this, { scale, transform } = this.zoom;
    return html`<div class="view ${scale > 1 ? "zoomed" : ""}" tabindex="0" role="group" aria-label=${t("stage.view")}
        @wheel=${this.wheel} @dblclick=${this.toggle} @keydown=${this.key}
        @pointerdown=${this.down} @pointermove=${this.move} @pointerup=${this.up} @pointercancel=${this.up}>
      <div class="sheet" ${styled({ "--w": picture.width || 1, "--h": picture.height || 1, transform,
        "background-image": picture.small ? `url("${at(picture.small)}")` : null })}>
        <img src=${at(picture.url)} alt=${picture.prompt || t("stage.picture-alt")} width=${picture.width} height=${picture.height} draggable="false">
      </div>
    </div>`;
  }

  /** Enlarge around a point of the window. */
  zoomTo(scale, clientX, clientY) {
    this.zoom.to(scale, clientX, clientY);
    this.requestUpdate();
  }

  wheel(event) {
    this.zoom.wheel(event);
    this.requestUpdate();
  }

  /** Fitted, or at its own pixels; twice as large where those are no more than fitted. */
  toggle({ clientX, clientY }) {
    const real = this.picture.width / this.querySelector(".sheet").offsetWidth;
    this.zoomTo(this.zoom.scale > 1 ? 1 : Math.max(2, real), clientX, clientY);
  }

  key(event) {
    if (event.key === "+" || event.key === "=") this.zoom.by(1);
    else if (event.key === "-") this.zoom.by(-1);
    else if (event.key === "0") this.zoom.fit();
    else return;
    event.preventDefault();
    this.requestUpdate();
  }

  down(event) {
    if (event.button) return;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.began = { x: event.clientX, y: event.clientY, one: this.pointers.size === 1 };
    if (this.zoom.scale > 1 || this.pointers.size > 1) event.currentTarget.setPointerCapture(event.pointerId);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    this.pointers.set(event.pointerId, now);
    if (this.pointers.size === 2) return this.pinch(event.pointerId, before, now);
    if (this.zoom.scale <= 1) return;
    this.zoom.move(now.x - before.x, now.y - before.y);
    this.requestUpdate();
  }

  pinch(id, before, now) {
    const [other] = [...this.pointers].filter(([one]) => one !== id).map(([, point]) => point);
    const apart = (point) => Math.hypot(point.x - other.x, point.y - other.y) || 1;
    this.zoomTo(this.zoom.scale * apart(now) / apart(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    const across = event.clientX - this.began?.x, along = event.clientY - this.began?.y;
    if (event.type === "pointerup" && event.pointerType === "touch" && this.began?.one && this.zoom.scale === 1
        && Math.abs(across) > SWIPE && Math.abs(along) < SWIPE) step(across < 0 ? 1 : -1);
  }
}
customElements.define("easel-view", View);
