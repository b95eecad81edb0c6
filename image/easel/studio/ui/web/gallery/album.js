// The pictures that the gallery shows: loaded page by page, and kept in step with what is drawn and deleted.
import { get, post } from "../api.js";
import { on } from "../events.js";
import { store } from "../store.js";
import { newestFirst } from "./order.js";

const PAGE = 300;
const EVERYTHING = { q: "", starred: false, board: null };

/**
 * Tells `change` when something is another. `pictures` are what is loaded of `total`, the newest first; each change
 * makes another list, so that who shows it knows.
 */
export class Album extends EventTarget {
  pictures = [];
  total = 0;
  filter = EVERYTHING;
  loading = false;
  loaded = false;
  /** @type {import("../api.js").ApiError | null} */
  error = null;
  #next = null;
  #question = 0;
  #watched = [];

  /** Begin to follow what happens. */
  open() {
    this.#watched = [store.on("pictures", () => this.#keepUp()), on("gone", ({ pictures }) => this.drop(pictures))];
    this.show({});
  }

  close() {
    for (const off of this.#watched) off();
  }

  get filtered() { return Boolean(this.filter.q || this.filter.starred || this.filter.board); }

  /** Whether there is more than was loaded. */
  get unfinished() { return this.#next !== null; }

  /** Show what fits; what is not named stays as it is. */
  async show(filter) {
    this.filter = { ...this.filter, ...filter };
    this.#question += 1;
    this.loading = false;
    await this.#load(null);
  }

  /** Load the next page, if there is one. */
  async more() {
    if (this.#next && !this.loading && !this.error) await this.#load(this.#next);
  }

  async #load(before) {
    const question = this.#question;
    this.loading = true;
    this.error = null;
    this.#tell();
    try {
      const page = await get(`studio/gallery?${this.#query(before)}`);
      if (question !== this.#question) return;
      const known = new Set(this.pictures.map((one) => one.id));
      this.pictures = before ? [...this.pictures, ...page.pictures.filter((one) => !known.has(one.id))] : page.pictures;
      this.total = page.total;
      this.#next = page.next;
      this.loaded = true;
    } catch (error) {
      if (question !== this.#question) return;
      this.error = error;
    }
    this.loading = false;
    this.#tell();
  }

  #query(before) {
    const { q, starred, board } = this.filter;
    const asked = new URLSearchParams({ limit: PAGE });
    if (q) asked.set("q", q);
    if (starred) asked.set("starred", "true");
    if (board) asked.set("board", board);
    if (before) asked.set("before", before);
    return asked;
  }

  find(id) { return this.pictures.find((one) => one.id === id) ?? null; }

  /** The store's newest pictures changed: some were drawn, or some are gone since the connection was lost. */
  #keepUp() {
    const newest = store.get("pictures"), there = new Set(newest.map((one) => one.id));
    const oldest = newest.at(-1)?.id;
    if (!this.loaded || !oldest) return;
    this.drop(this.pictures.filter((one) => !there.has(one.id) && newestFirst(one.id, oldest) < 0).map((one) => one.id));
    const first = this.pictures[0]?.id;
    const known = new Set(this.pictures.map((one) => one.id));
    const fresh = newest.filter((one) => !known.has(one.id) && (!first || newestFirst(one.id, first) < 0));
    if (this.filtered || !fresh.length) return;
    this.pictures = [...fresh, ...this.pictures].sort((a, b) => newestFirst(a.id, b.id));
    this.total += fresh.length;
    this.#tell();
  }

  /** Pictures are gone, or do not fit any more. */
  drop(ids) {
    const gone = new Set(ids);
    const left = this.pictures.filter((one) => !gone.has(one.id));
    if (left.length === this.pictures.length) return;
    this.total -= this.pictures.length - left.length;
    this.pictures = left;
    this.#tell();
  }

  /** Say something else of some pictures, here and in the filmstrip. */
  amend(ids, change) {
    const some = new Set(ids);
    const amended = (list) => list.map((one) => (some.has(one.id) ? { ...one, ...change(one) } : one));
    this.pictures = amended(this.pictures);
    store.set("pictures", amended(store.get("pictures")));
    this.#tell();
  }

  /** Delete pictures for good; how many went. Raises ApiError. */
  async delete(ids) {
    const { deleted } = await post("studio/gallery/delete", { pictures: ids });
    // Those that were gone before, too.
    this.drop(ids);
    const gone = new Set(ids);
    store.set("pictures", store.get("pictures").filter((one) => !gone.has(one.id)));
    return deleted.length;
  }

  /** Give a star, or take it. Shown at once, and taken back if it cannot be. Raises ApiError. */
  async star(ids, starred) {
    const before = new Map(this.pictures.map((one) => [one.id, one.starred]));
    this.amend(ids, () => ({ starred }));
    try {
      await post("studio/gallery/star", { pictures: ids, starred });
    } catch (error) {
      this.amend(ids, (one) => ({ starred: before.get(one.id) ?? one.starred }));
      throw error;
    }
    if (this.filter.starred && !starred) this.drop(ids);
  }

  #tell() { this.dispatchEvent(new Event("change")); }
}
