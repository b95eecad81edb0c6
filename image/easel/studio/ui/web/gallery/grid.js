// Tiles of pictures by day. Only those near the window are in the page: ten thousand scroll as sixty do.
import { html, nothing, repeat } from "../vendor/lit.js";
import { EaselElement, styled } from "../element.js";
import { language, t } from "../texts.js";
import { between, dayOf, layOut, spot, step } from "./layout.js";
import { tile } from "./tile.js";

const KEYS = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]);
const px = (number) => `${number}px`;

/**
 * `pictures` of `total`, `selection` (null where nothing can be selected). Tells `open-picture` {id}, `pick-picture` {id, how}
 * with how `one`, `range` or `day`, `need-more`.
 */
class Grid extends EaselElement {
  static properties = {
    pictures: { attribute: false }, total: { attribute: false }, selection: { attribute: false }, marked: { attribute: false },
  };

  constructor() {
    super();
    Object.assign(this, { pictures: [], total: 0, selection: null, marked: 0 });
    this.layout = layOut([], 0);
    this.active = null;
    this.seen = [0, 0];
  }

  connectedCallback() {
    super.connectedCallback();
    const resized = new ResizeObserver(() => { this.relayed(); this.look(true); });
    resized.observe(this);
    this.endWith(() => resized.disconnect());
    const soon = () => { this.ticking ||= requestAnimationFrame(() => { this.ticking = 0; this.look(); }); };
    for (const name of ["scroll", "resize"]) this.hear(window, name, soon, { passive: true });
  }

  willUpdate(changed) {
    if (changed.has("pictures")) this.relayed();
  }

  updated(changed) {
    if (changed.has("pictures")) this.look();
  }

  /** Lay out again. What the person looks at stays where it is, whatever came above it. */
  relayed() {
    const width = this.clientWidth;
    if (!width) return;
    const scrolled = -this.getBoundingClientRect().top;
    const before = this.layout, held = scrolled > 0 ? this.at(scrolled) : null;
    this.layout = layOut(this.pictures, width);
    this.places = new Map(this.pictures.map((one, index) => [one.id, index]));
    if (!this.places.has(this.active)) this.active = this.pictures[0]?.id ?? null;
    const place = held && this.places.get(held.id);
    if (place == null || before.side !== this.layout.side) return;
    const moved = this.topOf(place) - held.top;
    if (moved) this.updateComplete.then(() => scrollBy(0, moved));
  }

  /** The first picture below a height. */
  at(height) {
    const day = this.layout.days.find((one) => one.top + one.height > height);
    if (!day) return null;
    const [index] = between(this.layout, day, height - day.top, height - day.top);
    const id = this.shown?.[Math.min(index, day.to - 1)]?.id;
    return id ? { id, top: this.topOf(Math.min(index, day.to - 1)) } : null;
  }

  topOf(index) {
    const day = dayOf(this.layout, index);
    return day ? day.top + spot(this.layout, day, index).y : 0;
  }

  /** Pictures that were not loaded yet take their room already, so that the scroll bar tells the truth. */
  get tail() {
    return Math.ceil(Math.max(0, this.total - this.pictures.length) / this.layout.columns) * this.layout.row;
  }

  /** Draw again if what is near the window is not all there. */
  look(always = false) {
    if (!this.clientWidth) return;
    const top = -this.getBoundingClientRect().top, screen = innerHeight;
    if (always || top - screen / 2 < this.seen[0] || top + 1.5 * screen > this.seen[1]) {
      this.seen = [top - screen, top + 2 * screen];
      this.requestUpdate();
    }
    if (top + 3 * screen > this.layout.height) this.emit("need-more");
  }

  render() {
    this.shown = this.pictures;
    const [top, bottom] = this.seen, active = this.places?.get(this.active);
    const days = this.layout.days.filter((one) =>
      (one.top < bottom && one.top + one.height > top) || (active >= one.from && active < one.to));
    return html`<div class="days" ${styled({ height: px(this.layout.height + this.tail), "--side": px(this.layout.side) })}
      @click=${this.clicked} @keydown=${this.pressed} @keyup=${this.released} @focusin=${this.focused}>
      ${repeat(days, (one) => one.day, (one) => this.day(one, top - one.top, bottom - one.top, active))}
    </div>`;
  }

  day(day, top, bottom, active) {
    const [first, last] = between(this.layout, day, top, bottom);
    const places = Array.from({ length: Math.max(0, last - first) }, (_, place) => first + place);
    if (active >= day.from && active < day.to && (active < first || active >= last)) places.push(active);
    const some = this.pictures.slice(day.from, day.to);
    const all = this.selection && some.every((one) => this.selection.has(one.id));
    return html`<div class="day" ${styled({ top: px(day.top), height: px(day.height) })}>
      <div class="day-head"><h3>${dayName(day.day)}</h3>
        ${this.selection ? html`<button class="pick-day" data-day=${day.day} aria-pressed=${all ? "true" : "false"}
          aria-label=${t("gallery.select-day", { day: dayName(day.day) })}>${t("gallery.select-day.short")}</button>` : nothing}
      </div>
      <ul aria-label=${dayName(day.day)}>${repeat(places, (index) => this.pictures[index].id, (index) => tile({
        picture: this.pictures[index], spot: spot(this.layout, day, index), selection: this.selection,
        reachable: this.pictures[index].id === this.active, place: index - day.from + 1, size: day.to - day.from,
      }))}</ul>
    </div>`;
  }

  clicked(event) {
    const day = event.target.closest("[data-day]")?.dataset.day;
    if (day) return this.emit("pick-picture", { id: day, how: "day" });
    const id = event.target.closest("[data-id]")?.dataset.id;
    if (!id) return undefined;
    this.active = id;
    if (!this.selection) return this.emit("open-picture", { id });
    const box = event.target.closest(".pick");
    // A label's own click is followed by its box's.
    if (box && event.target.tagName !== "INPUT") return undefined;
    if (event.shiftKey) return this.emit("pick-picture", { id, how: "range" });
    if (box || event.ctrlKey || event.metaKey || this.selection.begun) return this.emit("pick-picture", { id, how: "one" });
    return this.emit("open-picture", { id });
  }

  pressed(event) {
    const id = event.target.closest(".tile")?.closest("[data-id]")?.dataset.id;
    if (!id || event.altKey) return;
    if (KEYS.has(event.key)) {
      event.preventDefault();
      const to = this.pictures[step(this.layout, this.places.get(id), event.key)]?.id;
      if (event.shiftKey && this.selection && to) {
        if (!this.selection.size) this.emit("pick-picture", { id, how: "one" });
        this.emit("pick-picture", { id: to, how: "range" });
      }
      this.focusPicture(to);
    } else if (event.key === " " && this.selection) {
      event.preventDefault();
      this.emit("pick-picture", { id, how: event.shiftKey ? "range" : "one" });
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.emit("open-picture", { id });
    }
  }

  // Firefox presses a button when Space goes up, whatever became of going down.
  released(event) {
    if (event.key === " " && event.target.closest(".tile")) event.preventDefault();
  }

  focused(event) {
    const id = event.target.closest("[data-id]")?.dataset.id;
    if (id && id !== this.active) { this.active = id; this.requestUpdate(); }
  }

  /** Bring a picture into the window and the focus to it. */
  async focusPicture(id) {
    if (!this.places?.has(id)) return;
    this.active = id;
    this.requestUpdate();
    await this.updateComplete;
    const found = this.querySelector(`[data-id="${CSS.escape(id)}"] .tile`);
    found?.focus({ preventScroll: true });
    found?.scrollIntoView({ block: "nearest" });
    this.look();
  }
}
customElements.define("easel-grid", Grid);

/** "Today", "Yesterday", or the day as the language writes it. */
export function dayName(day) {
  const date = new Date(`${day}T12:00:00`), now = new Date();
  const days = Math.round((new Date(now.getFullYear(), now.getMonth(), now.getDate(), 12) - date) / 86_400_000);
  if (days === 0) return t("gallery.today");
  if (days === 1) return t("gallery.yesterday");
  const year = date.getFullYear() === now.getFullYear() ? {} : { year: "numeric" };
  return date.toLocaleDateString(language.code, { weekday: "long", day: "numeric", month: "long", ...year });
}
