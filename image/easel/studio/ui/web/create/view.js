// One picture: fitted to the room there is, enlarged by wheel, pinch or double click, moved by dragging.
import { html } from "../vendor/lit.js";
import { EaselElement, styled } from "../element.js";
import { at } from "../api.js";
import { t } from "../texts.js";
import { step } from "./shown.js";

const MOST = 16, PER_NOTCH = 1.2, SWIPE = 60;

class View extends EaselElement {
  static properties = { picture: {} };

  constructor() {
    super();
    /** How many times larger than fitted, and how far moved, in pixels. */
    this.zoom = { scale: 1, x: 0, y: 0 };
    this.pointers = new Map();
  }

  willUpdate(changed) {
    if (changed.has("picture") && changed.get("picture")?.id !== this.picture?.id) this.zoom = { scale: 1, x: 0, y: 0 };
  }

  render() {
    const { picture } = this, { scale, x, y } = this.zoom;
    return html`<div class="view ${scale > 1 ? "zoomed" : ""}" tabindex="0" role="group" aria-label=${t("stage.view")}
        @wheel=${this.wheel} @dblclick=${this.toggle} @keydown=${this.key}
        @pointerdown=${this.down} @pointermove=${this.move} @pointerup=${this.up} @pointercancel=${this.up}>
      <div class="sheet" ${styled({ "--w": picture.width || 1, "--h": picture.height || 1, transform: `translate(${x}px, ${y}px) scale(${scale})`,
        "background-image": picture.small ? `url("${at(picture.small)}")` : null })}>
        <img src=${at(picture.url)} alt=${picture.prompt || t("stage.picture-alt")} width=${picture.width} height=${picture.height} draggable="false">
      </div>
    </div>`;
  }

  /** Enlarge around a point of the window. */
  zoomTo(scale, clientX, clientY) {
    const box = this.querySelector(".view").getBoundingClientRect();
    const from = { x: clientX - box.left - box.width / 2, y: clientY - box.top - box.height / 2 };
    const next = Math.min(MOST, Math.max(1, scale)), by = next / this.zoom.scale;
    this.set({ scale: next, x: from.x - (from.x - this.zoom.x) * by, y: from.y - (from.y - this.zoom.y) * by });
  }

  /** Never moved so far that nothing is left to see. */
  set({ scale, x, y }) {
    const box = this.querySelector(".view").getBoundingClientRect(), sheet = this.querySelector(".sheet");
    const most = (side, room) => Math.max(0, (side * scale - room) / 2);
    const within = (value, limit) => Math.min(limit, Math.max(-limit, value));
    this.zoom = {
      scale, x: within(x, most(sheet.offsetWidth, box.width)), y: within(y, most(sheet.offsetHeight, box.height)),
    };
    this.requestUpdate();
  }

  wheel(event) {
    event.preventDefault();
    this.zoomTo(this.zoom.scale * PER_NOTCH ** (-event.deltaY / (event.ctrlKey ? 20 : 100)), event.clientX, event.clientY);
  }

  /** Fitted, or at its own pixels; twice as large where those are no more than fitted. */
  toggle({ clientX, clientY }) {
    const real = this.picture.width / this.querySelector(".sheet").offsetWidth;
    this.zoomTo(this.zoom.scale > 1 ? 1 : Math.max(2, real), clientX, clientY);
  }

  key(event) {
    const box = this.getBoundingClientRect(), middle = [box.left + box.width / 2, box.top + box.height / 2];
    if (event.key === "+" || event.key === "=") this.zoomTo(this.zoom.scale * PER_NOTCH, ...middle);
    else if (event.key === "-") this.zoomTo(this.zoom.scale / PER_NOTCH, ...middle);
    else if (event.key === "0") this.zoomTo(1, ...middle);
    else return;
    event.preventDefault();
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
    if (this.zoom.scale > 1) this.set({ ...this.zoom, x: this.zoom.x + now.x - before.x, y: this.zoom.y + now.y - before.y });
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
