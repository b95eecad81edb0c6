// The new frame around the source: its sides are pulled out by mouse, finger or keys.
import { html, nothing } from "../vendor/lit.js";
import { styled } from "../element.js";
import { field, setFields } from "../create/fields.js";
import { t } from "../texts.js";
import { framed, isExact, margins, SIDES } from "./outpaint-frame.js";
import { SourceElement } from "./source-element.js";
import { invitation } from "./source-view.js";

const STEP = 8, LARGE = 64, MOST = 1024;
const ALONG = { left: ["x", -1], right: ["x", 1], up: ["y", -1], down: ["y", 1] };
const KEYS = { ArrowLeft: ["x", -1], ArrowRight: ["x", 1], ArrowUp: ["y", -1], ArrowDown: ["y", 1] };

class OutpaintStage extends SourceElement {
  static watches = ["fields", "pictures"];

  render() {
    const source = field("source");
    if (!source) return html`<div class="source-view ${this.over ? "over" : ""}" @dragover=${this.dragged} @dragleave=${this.left} @drop=${this.dropped}>${invitation()}</div>`;
    // While one pulls, the sheet stays as it is: what is pulled must follow the pointer.
    const { width, height } = this.held?.whole ?? framed(source), add = margins(source);
    const share = (pixels, of) => `${100 * pixels / of}%`, now = framed(source);
    const left = (this.held?.add ?? add).left, up = (this.held?.add ?? add).up;
    return html`<div class="source-view outpaint">
      <div class="sheet outpaint-frame" ${styled({ "--w": width, "--h": height })}>
        <div class="grown" ${styled({ left: share(left - add.left, width), top: share(up - add.up, height), width: share(now.width, width), height: share(now.height, height) })}>
          ${SIDES.map((side) => this.handle(side))}
          <output>${now.width} × ${now.height}</output>
        </div>
        <div class="in-frame" ${styled({ left: share(left, width), top: share(up, height), width: share(source.width, width), height: share(source.height, height) })}>
          ${this.address ? html`<img src=${this.address} alt=${source.name} draggable="false">` : nothing}</div>
      </div></div>`;
  }

  handle(side) {
    const value = field(`outpaint_${side}`);
    return html`<div class="handle" data-side=${side} role="slider" tabindex="0" aria-label=${t(`create.outpaint_${side}`)} aria-valuemin="0" aria-valuemax=${MOST}
      aria-valuenow=${value} aria-orientation=${ALONG[side][0] === "x" ? "horizontal" : "vertical"} @keydown=${(event) => this.key(event, side)}
      @pointerdown=${(event) => this.down(event, side)} @pointermove=${this.move} @pointerup=${this.up} @pointercancel=${this.up}></div>`;
  }

  key(event, side) {
    const [axis, sign] = ALONG[side], pressed = KEYS[event.key], step = event.shiftKey ? LARGE : STEP;
    if (event.key === "Home") this.pull(side, 0);
    else if (pressed?.[0] === axis) this.pull(side, field(`outpaint_${side}`) + pressed[1] * sign * step);
    else return;
    event.preventDefault();
  }

  down(event, side) {
    if (event.button) return;
    event.preventDefault();
    event.target.focus();
    event.target.setPointerCapture(event.pointerId);
    const source = field("source"), box = this.querySelector(".in-frame").getBoundingClientRect();
    this.held = {
      side, from: { x: event.clientX, y: event.clientY }, value: field(`outpaint_${side}`), by: source.width / box.width,
      whole: framed(source), add: margins(source),
    };
  }

  move(event) {
    if (!this.held) return;
    const { side, from, value, by } = this.held, [axis, sign] = ALONG[side];
    const moved = (axis === "x" ? event.clientX : event.clientY) - from[axis];
    this.pull(side, value + Math.round(moved * sign * by / STEP) * STEP);
  }

  up() {
    this.held = null;
    this.requestUpdate();
  }

  pull(side, pixels) {
    const within = Math.min(MOST, Math.max(0, pixels));
    if (isExact() || !within) return setFields({ [`outpaint_${side}`]: within });
    // A1111's scripts have one number for all sides that grow.
    const same = Math.min(256, Math.max(STEP, within));
    const sides = SIDES.filter((one) => one === side || field(`outpaint_${one}`) > 0);
    setFields({ outpaint_pixels: same, ...Object.fromEntries(sides.map((one) => [`outpaint_${one}`, same])) });
  }
}
customElements.define("easel-outpaint", OutpaintStage);
