// Enlarging and moving a sheet in its frame: by wheel, by two fingers, by keys.

const PER_NOTCH = 1.2;

export class Zoom {
  /**
   * @param {() => {frame: DOMRect, width: number, height: number}} measured  the frame, and the sheet as it is fitted into it
   * @param {{most?: number, beyond?: number}} how  times that it is enlarged at the most; how much of its frame its edge may
   *   be pulled into it
   */
  constructor(measured, { most = 16, beyond = 0 } = {}) {
    Object.assign(this, { measured, most, beyond });
    this.fit();
  }

  fit() { Object.assign(this, { scale: 1, x: 0, y: 0 }); }

  get transform() { return `translate(${this.x}px, ${this.y}px) scale(${this.scale})`; }

  /** Enlarge around a point of the window. */
  to(scale, clientX, clientY) {
    const { frame } = this.measured(), next = Math.min(this.most, Math.max(1, scale)), by = next / this.scale;
    const from = { x: clientX - frame.left - frame.width / 2, y: clientY - frame.top - frame.height / 2 };
    this.scale = next;
    this.moveTo(from.x - (from.x - this.x) * by, from.y - (from.y - this.y) * by);
  }

  /** By keys, around the middle. */
  by(notches) {
    const { frame } = this.measured();
    this.to(this.scale * PER_NOTCH ** notches, frame.left + frame.width / 2, frame.top + frame.height / 2);
  }

  move(x, y) { this.moveTo(this.x + x, this.y + y); }

  /** Never so far that nothing is left to see. */
  moveTo(x, y) {
    const { frame, width, height } = this.measured();
    const beyond = this.scale > 1 ? this.beyond : 0;
    const within = (value, side, room) => {
      const most = Math.max(0, (side - room) / 2 + Math.min(room, side) * beyond);
      return Math.min(most, Math.max(-most, value));
    };
    this.x = within(x, width * this.scale, frame.width);
    this.y = within(y, height * this.scale, frame.height);
  }

  wheel(event) {
    event.preventDefault();
    this.to(this.scale * PER_NOTCH ** (-event.deltaY / (event.ctrlKey ? 20 : 100)), event.clientX, event.clientY);
  }

  /** Two fingers: where both were, and where they are. Each is {x, y} of the window. */
  pinch(before, now) {
    const apart = ([one, other]) => Math.hypot(one.x - other.x, one.y - other.y) || 1;
    const middle = ([one, other]) => ({ x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 });
    const from = middle(before), to = middle(now);
    this.to(this.scale * apart(now) / apart(before), to.x, to.y);
    this.move(to.x - from.x, to.y - from.y);
  }
}
