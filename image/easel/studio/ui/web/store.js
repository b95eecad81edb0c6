// The one state of the page. Parts of it outlive a reload, per person and device.
import { takeTyped } from "./typed.js";

/** Parts that are written to this device. Everything else is the studio's, and is asked for again. */
const KEPT = ["fields", "shown", "place", "settings", "history", "dismissed"];
const WRITE_EVERY = 500;

class Store {
  constructor() {
    this.values = new Map(Object.entries({
      session: null, engine: null, tickets: [], pictures: [], shown: null, live: true, place: "create", connection: "ok",
      fields: {}, said: {}, sending: 0, dismissed: [], notices: [], history: [], styled: 0,
      settings: { theme: "system", language: "", sound: false },
    }));
    this.listeners = new Map();
    this.address = null;
    this.waiting = 0;
    // Only what changed here: a tab that was merely open has older fields than the one that was typed in.
    const leave = () => {
      takeTyped();
      if (this.waiting) this.write();
    };
    addEventListener("pagehide", leave);
    // A telephone ends what is out of sight without another word.
    document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && leave());
  }

  get(key) { return this.values.get(key); }

  /** Set a part, and tell those who watch it, unless it is the same. */
  set(key, value) {
    if (Object.is(this.values.get(key), value)) return;
    this.values.set(key, value);
    if (KEPT.includes(key)) this.keep();
    for (const told of [...(this.listeners.get(key) ?? [])]) told(value);
  }

  /** Change some names of a part that is an object. */
  patch(key, changes) { this.set(key, { ...this.get(key), ...changes }); }

  /** @returns {() => void} ends the watching */
  on(key, told) {
    if (!this.listeners.has(key)) this.listeners.set(key, new Set());
    this.listeners.get(key).add(told);
    return () => this.listeners.get(key).delete(told);
  }

  /**
   * Take up what this person left on this device. What they have typed meanwhile stays.
   * @returns {boolean} false where what is open here is another person's
   */
  open(endpoint, person) {
    const address = `easel:${endpoint}:${person}`;
    if (this.address) return address === this.address;
    this.address = address;
    let kept = {};
    try { kept = JSON.parse(localStorage.getItem(this.address) ?? "{}"); } catch { /* private mode, or not ours */ }
    for (const key of KEPT) {
      const value = kept?.[key];
      if (value == null || typeof value !== typeof this.get(key) && this.get(key) !== null) continue;
      const plain = typeof value === "object" && !Array.isArray(value);
      this.set(key, plain ? { ...value, ...(key === "fields" ? this.get(key) : {}) } : value);
    }
    return true;
  }

  keep() {
    if (this.address && !this.waiting) this.waiting = setTimeout(() => this.write(), WRITE_EVERY);
  }

  write() {
    clearTimeout(this.waiting);
    this.waiting = 0;
    if (!this.address) return;
    const kept = Object.fromEntries(KEPT.map((key) => [key, this.get(key)]));
    try { localStorage.setItem(this.address, JSON.stringify(kept)); } catch { /* full, or forbidden: only kept here */ }
  }
}

export const store = new Store();
