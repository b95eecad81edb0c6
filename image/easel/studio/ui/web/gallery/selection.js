// Which pictures are selected, and from where a range goes on.

export class Selection {
  ids = new Set();
  anchor = null;
  /** Whether a click selects, though nothing is selected yet. */
  picking = false;

  get size() { return this.ids.size; }

  /** Whether a click selects. */
  get begun() { return this.picking || this.ids.size > 0; }

  has(id) { return this.ids.has(id); }

  toggle(id) {
    if (!this.ids.delete(id)) this.ids.add(id);
    this.anchor = id;
  }

  /** All from the anchor to `id`, as they stand in `pictures`. */
  extend(pictures, id) {
    const from = pictures.findIndex((one) => one.id === (this.anchor ?? id));
    const to = pictures.findIndex((one) => one.id === id);
    if (from < 0 || to < 0) return this.toggle(id);
    for (const one of pictures.slice(Math.min(from, to), Math.max(from, to) + 1)) this.ids.add(one.id);
    this.anchor ??= id;
  }

  /** All of these, or none if all are selected already. */
  toggleAll(ids) {
    const all = ids.every((id) => this.ids.has(id));
    for (const id of ids) all ? this.ids.delete(id) : this.ids.add(id);
    this.anchor = ids[0] ?? null;
  }

  clear() {
    this.ids.clear();
    this.anchor = null;
    this.picking = false;
  }

  /** Forget what is not in `pictures` any more. */
  keep(pictures) {
    if (!this.size) return;
    const there = new Set(pictures.map((one) => one.id));
    for (const id of [...this.ids]) if (!there.has(id)) this.ids.delete(id);
    if (!there.has(this.anchor)) this.anchor = null;
  }
}
