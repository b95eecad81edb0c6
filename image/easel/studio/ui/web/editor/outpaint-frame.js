// How a picture is made larger at its sides: by pixels of each side, and what A1111's scripts make of them.
import { field } from "../create/fields.js";

export const SIDES = ["left", "up", "right", "down"];
/** Ways to do it: the frame is exact; A1111's scripts take the same pixels on each side, and go up to multiples of 64. */
export const WAYS = { frame: null, mk2: "outpainting mk2", poor: "poor man's outpainting" };
const SCRIPTED = 64, EXACT = 8;

export const isExact = () => field("outpaint_way") === "frame";

/** The sides that grow. */
export const growing = () => SIDES.filter((side) => field(`outpaint_${side}`) > 0);

/** Pixels that are added on each side. @returns {{left: number, up: number, right: number, down: number}} */
export function margins({ width, height }) {
  const asked = Object.fromEntries(SIDES.map((side) => [side, Math.max(0, Number(field(`outpaint_${side}`)) || 0)]));
  if (isExact()) {
    // The whole is drawn at multiples of 8; what is missing goes to a side that grows.
    const filled = (length, before, after) => {
      const more = Math.ceil((length + before + after) / EXACT) * EXACT - length - before - after;
      return after || !before ? [before, after && after + more] : [before + more, after];
    };
    const [left, right] = filled(width, asked.left, asked.right), [up, down] = filled(height, asked.up, asked.down);
    return { left, right, up, down };
  }
  const pixels = field("outpaint_pixels"), on = (side) => (asked[side] ? pixels : 0);
  const shared = (length, before, after) => {
    // As engine/imaging/outpaint.py shares them out.
    const more = Math.ceil((length + before + after) / SCRIPTED) * SCRIPTED - length;
    const first = before ? Math.floor(before * more / (before + after)) : 0;
    return [first, after ? more - first : 0];
  };
  const [left, right] = shared(width, on("left"), on("right")), [up, down] = shared(height, on("up"), on("down"));
  return { left, right, up, down };
}

/** The size of the new picture. */
export function framed(source) {
  const { left, right, up, down } = margins(source);
  return { width: source.width + left + right, height: source.height + up + down };
}
