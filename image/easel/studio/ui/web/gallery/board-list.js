// The person's boards, as the studio knows them. Tells `change`.
import { del, get, patch, post } from "../api.js";

export class BoardList extends EventTarget {
  /** @type {{id: string, name: string, count: number, cover: string | null}[]} the last made first */
  boards = [];

  find(id) { return this.boards.find((one) => one.id === id) ?? null; }

  async load() {
    ({ boards: this.boards } = await get("studio/boards"));
    this.dispatchEvent(new Event("change"));
  }

  /** All of these raise ApiError. */
  async make(name) {
    const made = await post("studio/boards", { name });
    await this.load();
    return made;
  }

  async rename(id, name) {
    await patch(`studio/boards/${id}`, { name });
    await this.load();
  }

  async delete(id) {
    await del(`studio/boards/${id}`);
    await this.load();
  }

  async fill(id, { add = [], remove = [] }) {
    await post(`studio/boards/${id}/pictures`, { add, remove });
    await this.load();
  }
}
