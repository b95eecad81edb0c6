// A picture that can be looked at closely: wheel, double click, two fingers, keys; dragged when it is larger than its frame.
import { Zoom } from "../zoom.js";

const LARGEST = 8, STEP = 1.25;

export class CloseLook {
  #fingers = new Map();
  #apart = 0;

  /** @param {HTMLElement} frame what holds the picture @param {() => HTMLElement | null} picture */
  constructor(frame, picture) {
    Object.assign(this, { frame, picture });
    this.zoom = new Zoom(() => ({ frame: frame.getBoundingClientRect(), ...this.shown }), { most: LARGEST });
    frame.addEventListener("wheel", (event) => { event.preventDefault(); this.by(event.deltaY < 0 ? STEP : 1 / STEP, event); }, { passive: false });
    frame.addEventListener("dblclick", (event) => (this.zoom.scale > 1 ? this.reset() : this.by(this.natural, event)));
    frame.addEventListener("pointerdown", (event) => this.#down(event));
    frame.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) frame.addEventListener(name, (event) => this.#fingers.delete(event.pointerId));
  }

  /** The factor at which a pixel of the picture is one of the screen; at least two. */
  get natural() {
    return Math.max(2, (this.picture()?.naturalWidth ?? 0) / (this.shown.width || 1));
  }

  /** How large the picture is in its frame before it is made larger. */
  get shown() {
    const picture = this.picture(), { clientWidth, clientHeight } = this.frame;
    const fit = picture?.naturalWidth ? Math.min(clientWidth / picture.naturalWidth, clientHeight / picture.naturalHeight) : 0;
    return { width: fit * (picture?.naturalWidth ?? 0), height: fit * (picture?.naturalHeight ?? 0) };
  }

  reset() {
    this.zoom.fit();
    this.#draw();
  }

  /** Larger or smaller about a point of the screen, or the middle. */
  by(factor, { clientX, clientY } = {}) {
    const box = this.frame.getBoundingClientRect();
    this.zoom.to(this.zoom.scale * factor, clientX ?? box.left + box.width / 2, clientY ?? box.top + box.height / 2);
    this.#draw();
  }

  #down(event) {
    if (event.target.closest("button, a")) return;
    this.#fingers.set(event.pointerId, event);
    this.#apart = this.#distance();
    if (this.zoom.scale > 1) this.frame.setPointerCapture(event.pointerId);
  }

  #move(event) {
    const before = this.#fingers.get(event.pointerId);
    if (!before) return;
    this.#fingers.set(event.pointerId, event);
    if (this.#fingers.size === 2) {
      const [one, other] = this.#fingers.values(), apart = this.#distance();
      this.by(apart / (this.#apart || apart), { clientX: (one.clientX + other.clientX) / 2, clientY: (one.clientY + other.clientY) / 2 });
      this.#apart = apart;
    } else if (this.zoom.scale > 1) {
      this.zoom.move(event.clientX - before.clientX, event.clientY - before.clientY);
      this.#draw();
    }
  }

  #distance() {
    if (this.#fingers.size !== 2) return 0;
    const [one, other] = this.#fingers.values();
    return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
  }

  #draw() {
    const picture = this.picture();
    if (!picture) return;
    picture.style.setProperty("transform", this.zoom.transform);
    this.frame.toggleAttribute("data-zoomed", this.zoom.scale > 1);
  }
}
