// The canvas on the stage: a source, and a sheet over it that one paints on with mouse, pen, finger or keys.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement, styled } from "../element.js";
import { field, setField } from "../create/fields.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { diameter, isErasing, MASK_COLOUR, pressed, resize } from "./brush.js";
import { layerOver, painted } from "./layers.js";
import { addressOf } from "./sources.js";
import { Zoom } from "../zoom.js";

const EDITABLE = "input:not([type=range], [type=radio], [type=checkbox]), textarea, select, [contenteditable]";
const PEN_ERASER = 5, MIDDLE = 1;

/** `<easel-painter .kind="mask" .ground=${{id, width, height}} .source=${source}>`; without a source the ground is white. */
class Painter extends EaselElement {
  static watches = ["fields"];
  static properties = { kind: {}, ground: {}, source: {}, layer: { state: true }, address: { state: true } };

  constructor() {
    super();
    this.layer = null;
    this.address = "";
    this.pointers = new Map();
    this.zoom = new Zoom(() => {
      const sheet = this.querySelector(".sheet");
      return { frame: this.getBoundingClientRect(), width: sheet.offsetWidth, height: sheet.offsetHeight };
    }, { beyond: 0.25 });
  }

  connectedCallback() {
    super.connectedCallback();
    this.hear(window, "keydown", (event) => this.key(event));
  }

  willUpdate(changed) {
    if (!changed.has("ground") && !changed.has("kind")) return;
    const id = `${this.kind} ${this.ground.id}`;
    if (this.openId === id) return;
    this.openId = id;
    this.zoom.fit();
    this.address = "";
    layerOver(this.kind, this.ground).then((layer) => { if (this.openId === id) this.layer = layer; });
    if (this.source) addressOf(this.source).then((address) => { if (this.openId === id) this.address = address; }, () => {});
  }

  render() {
    const { width, height } = this.ground;
    return html`<div class="painter" data-kind=${this.kind} tabindex="0" role="application" aria-label=${t(`editor.canvas.${this.kind}`)}
        aria-describedby="painter-keys" @wheel=${this.wheel} @keydown=${this.held} @keyup=${this.released} @blur=${this.away}
        @pointerdown=${this.down} @pointermove=${this.move} @pointerup=${this.up} @pointercancel=${this.cancel} @pointerleave=${this.hide}
        @contextmenu=${(event) => event.preventDefault()}>
      <div class="sheet ${this.source ? "" : "blank"}" ${styled({ "--w": width, "--h": height, transform: this.zoom.transform })}>
        ${this.address ? html`<img src=${this.address} alt="" width=${width} height=${height} draggable="false">` : nothing}
        ${this.layer?.canvas ?? nothing}
      </div>
      <i class="brush" aria-hidden="true"></i>
      <p id="painter-keys" class="sr">${t("editor.canvas.keys")}</p>
    </div>`;
  }

  get tip() { return this.querySelector("i.brush"); }

  get scale() { return this.layer.canvas.getBoundingClientRect().width / this.layer.width; }

  /** A point of the window on the sheet, with the brush's radius there. */
  point({ clientX, clientY }, press = 1) {
    const box = this.layer.canvas.getBoundingClientRect();
    const at = (value, from, room, side) => (value - from) / room * side;
    return [at(clientX, box.left, box.width, this.layer.width), at(clientY, box.top, box.height, this.layer.height),
      Math.max(0.5, diameter(this.ground, this.layer) / 2 * press)];
  }

  down(event) {
    if (!this.layer || ![0, MIDDLE, PEN_ERASER].includes(event.button)) return;
    event.preventDefault();
    this.querySelector(".painter").focus({ preventScroll: true });
    event.currentTarget.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (this.pointers.size > 1 || this.space || event.button === MIDDLE) {
      if (this.layer.stroke) this.layer.forget();
      this.panning = true;
    } else if (event.altKey && this.kind === "sketch") this.pick(event);
    else this.layer.begin(isErasing() || event.button === PEN_ERASER ? "erase" : "stroke", this.colour, this.point(event, pressed(event)));
  }

  get colour() { return this.kind === "mask" ? MASK_COLOUR : field("brush_colour"); }

  move(event) {
    this.show(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    if (this.panning) this.pan(event.pointerId, before, now);
    else if (this.layer.stroke) {
      const moves = event.getCoalescedEvents?.() ?? [];
      for (const one of moves.length ? moves : [event]) this.layer.extend(this.point(one, pressed(one)));
    }
    this.pointers.set(event.pointerId, now);
  }

  pan(id, before, now) {
    const [other] = [...this.pointers].filter(([one]) => one !== id).map(([, point]) => point);
    if (other) this.zoom.pinch([before, other], [now, other]);
    else this.zoom.move(now.x - before.x, now.y - before.y);
    this.requestUpdate();
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.panning = false;
    if (event.pointerType !== "mouse") this.hide();
    if (this.layer?.stroke && !this.writing) this.finish();
  }

  cancel(event) {
    if (this.layer?.stroke) this.layer.forget();
    this.up(event);
  }

  finish() {
    this.layer.end();
    this.changed();
  }

  /** Something is on the sheet, or no longer. */
  changed() { painted(this.kind, this.ground, this.layer); }

  /** Do something to the whole sheet: "invert", "fill", "clear", "undo", "redo", "fit". */
  does(what) {
    if (!this.layer) return;
    if (what === "fit") this.zoom.fit();
    else if (what === "undo" || what === "redo") this.layer[what]();
    else this.layer.apply({ kind: what, colour: this.colour });
    if (what !== "fit") this.changed();
    this.requestUpdate();
  }

  /** Take the colour that is under the pointer. */
  pick(event) {
    const [x, y] = this.point(event), spot = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
    const context = spot.getContext("2d"), picture = this.querySelector(".sheet img"), { width, height } = this.layer;
    context.fillStyle = "#fff";
    context.fillRect(0, 0, 1, 1);
    if (picture) context.drawImage(picture, -x, -y, width, height);
    context.drawImage(this.layer.canvas, -x, -y);
    const parts = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    setField("brush_colour", `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`);
  }

  /** The circle that shows how large the brush is. */
  show({ clientX, clientY, pointerType = "mouse" }) {
    if (!this.layer || pointerType === "touch" || this.panning) return this.hide();
    const frame = this.getBoundingClientRect(), size = Math.max(3, diameter(this.ground, this.layer) * this.scale);
    this.at = { clientX, clientY };
    this.tip.style.setProperty("width", `${size}px`);
    this.tip.style.setProperty("transform", `translate(${clientX - frame.left - size / 2}px, ${clientY - frame.top - size / 2}px)`);
    this.tip.style.setProperty("opacity", "1");
  }

  hide() { this.tip?.style.setProperty("opacity", "0"); }

  updated() { if (this.at && this.tip.style.getPropertyValue("opacity") === "1") this.show(this.at); }

  wheel(event) {
    if (!this.layer) return;
    this.zoom.wheel(event);
    this.requestUpdate();
  }

  /** Keys wherever one is on the page, unless one types. */
  key(event) {
    if (store.get("place") !== "create" || event.defaultPrevented || event.target.closest?.(EDITABLE) || document.querySelector("dialog[open]")) return;
    const chosen = event.ctrlKey || event.metaKey, key = event.key.toLowerCase();
    const act = chosen ? { z: () => this.does(event.shiftKey ? "redo" : "undo"), y: () => this.does("redo") }[key]
      : event.altKey ? null : {
        "[": () => resize(-1), "]": () => resize(1), b: () => setField("brush_tool", "brush"), e: () => setField("brush_tool", "erase"),
      }[key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  /** Keys of the canvas itself: it can be painted without a pointer. */
  held(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.layer) return;
    const step = event.shiftKey ? 1 : Math.max(2, field("brush_size") / 4), ways = {
      ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step],
    };
    if (event.key === " ") this.space = true;
    else if (event.key in ways) this.steer(...ways[event.key]);
    else if (event.key === "Enter") this.write();
    else if (event.key === "+" || event.key === "=" || event.key === "-") this.zoom.by(event.key === "-" ? -1 : 1);
    else if (event.key === "0") this.zoom.fit();
    else if (event.key === "Delete") this.does("clear");
    else return;
    event.preventDefault();
    this.requestUpdate();
  }

  released(event) { if (event.key === " ") this.space = false; }

  away() {
    this.space = false;
    if (this.writing) this.write();
  }

  /** Move the brush by pixels of the picture. */
  steer(x, y) {
    const box = this.layer.canvas.getBoundingClientRect(), by = box.width / this.ground.width;
    const from = this.at ?? { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 };
    const within = (value, least, most) => Math.min(most, Math.max(least, value));
    this.show({
      clientX: within(from.clientX + x * by, box.left, box.right), clientY: within(from.clientY + y * by, box.top, box.bottom),
    });
    if (this.writing) this.layer.extend(this.point(this.at));
  }

  /** Put the brush down where it is, or lift it. */
  write() {
    if (this.writing) {
      this.writing = false;
      return this.finish();
    }
    if (!this.at) this.steer(0, 0);
    this.writing = true;
    this.layer.begin(isErasing() ? "erase" : "stroke", this.colour, this.point(this.at));
  }
}
customElements.define("easel-painter", Painter);
