// A transparent sheet over a picture that one paints on: strokes that can be taken back and brought again.

/** So many can be taken back; what is older becomes part of the ground. */
const REMEMBERED = 60;

/**
 * @typedef {object} Mark  one thing done to the sheet
 * @property {"stroke"|"erase"|"fill"|"clear"|"invert"} kind
 * @property {string} [colour]
 * @property {[number, number, number][]} [points]  x, y and radius, in pixels of the sheet
 */

const sheet = (width, height) => Object.assign(document.createElement("canvas"), { width, height });

export class Layer {
  /** @param {number} width @param {number} height */
  constructor(width, height) {
    this.canvas = sheet(width, height);
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.ground = null;
    /** @type {Mark[]} */
    this.done = [];
    /** @type {Mark[]} */
    this.undone = [];
    this.stroke = null;
  }

  get width() { return this.canvas.width; }

  get height() { return this.canvas.height; }

  /** Begin with what was painted before. */
  async load(blob) {
    const picture = await createImageBitmap(blob);
    this.ground = sheet(this.width, this.height);
    this.ground.getContext("2d").drawImage(picture, 0, 0, this.width, this.height);
    picture.close();
    this.draw();
  }

  /** Put the brush down. */
  begin(kind, colour, point) {
    this.stroke = { kind, colour, points: [point] };
    this.segment(this.stroke, 0);
  }

  /** Move it. */
  extend(point) {
    this.stroke.points.push(point);
    this.segment(this.stroke, this.stroke.points.length - 1);
  }

  /** Lift it. */
  end() {
    const { stroke } = this;
    this.stroke = null;
    if (stroke) this.remember(stroke);
  }

  /** As if the brush had not been put down: a second finger came, and this is a pinch. */
  forget() {
    this.stroke = null;
    this.draw();
  }

  /** Do something to the whole sheet. @param {Mark} mark */
  apply(mark) {
    this.mark(mark);
    this.remember(mark);
  }

  undo() {
    if (!this.done.length) return;
    this.undone.push(this.done.pop());
    this.draw();
  }

  redo() {
    if (!this.undone.length) return;
    const mark = this.undone.pop();
    this.done.push(mark);
    this.mark(mark);
  }

  get empty() {
    return !new Uint32Array(this.context.getImageData(0, 0, this.width, this.height).data.buffer).some((pixel) => pixel);
  }

  remember(mark) {
    this.undone = [];
    this.done.push(mark);
    if (this.done.length <= REMEMBERED) return;
    const kept = this.done, [oldest] = kept.splice(0, 1);
    this.done = [oldest];
    this.draw();
    this.ground = sheet(this.width, this.height);
    this.ground.getContext("2d").drawImage(this.canvas, 0, 0);
    this.done = kept;
    this.draw();
  }

  draw() {
    this.context.clearRect(0, 0, this.width, this.height);
    if (this.ground) this.context.drawImage(this.ground, 0, 0);
    for (const mark of this.done) this.mark(mark);
  }

  mark(mark) {
    const { context, width, height } = this;
    if (mark.points) return mark.points.forEach((_, place) => this.segment(mark, place));
    if (mark.kind === "clear") return context.clearRect(0, 0, width, height);
    context.save();
    context.globalCompositeOperation = mark.kind === "invert" ? "source-out" : "source-over";
    context.fillStyle = mark.colour;
    context.fillRect(0, 0, width, height);
    context.restore();
  }

  /** From the point before to this one; the first is a dot. */
  segment({ kind, colour, points }, place) {
    const { context } = this, [x, y, radius] = points[place], [fromX, fromY] = points[Math.max(0, place - 1)];
    context.save();
    context.globalCompositeOperation = kind === "erase" ? "destination-out" : "source-over";
    Object.assign(context, { strokeStyle: colour, lineWidth: 2 * radius, lineCap: "round", lineJoin: "round" });
    context.beginPath();
    context.moveTo(fromX, fromY);
    context.lineTo(x, y);
    context.stroke();
    context.restore();
  }

  /** The sheet as a PNG. @returns {Promise<Blob>} */
  blob() { return new Promise((done) => this.canvas.toBlob(done)); }

  /** White where something is painted, black elsewhere: a mask as A1111 takes it. @returns {Promise<Blob>} */
  mask() {
    const made = sheet(this.width, this.height), context = made.getContext("2d");
    context.drawImage(this.canvas, 0, 0);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = "#fff";
    context.fillRect(0, 0, this.width, this.height);
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.width, this.height);
    return new Promise((done) => made.toBlob(done));
  }
}
