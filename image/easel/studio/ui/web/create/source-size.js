// The size that follows from the picture that is drawn over.
import { checkpoint, field, range } from "./fields.js";

/** More pixels than four times what the checkpoint was trained on are slow and full of doubles. */
const MOST_TIMES = 4;
const MULTIPLE = 8;
const OVER = ["image", "sketch", "inpaint"];

/** The size to draw a picture at: its own, in steps of 8, or of its shape what the checkpoint can draw. */
export function sizeFor({ width, height }) {
  const [least, most] = range("width"), side = checkpoint()?.sides?.side ?? 512;
  const by = Math.min(1, most / Math.max(width, height), Math.sqrt(MOST_TIMES * side * side / (width * height)));
  const fitted = (length) => Math.min(most, Math.max(least, Math.round(length * by / MULTIPLE) * MULTIPLE));
  return { width: fitted(width), height: fitted(height) };
}

/** That of the source, where the mode draws over one; else null. */
export function sourceSize() {
  const mode = field("mode"), over = OVER.includes(mode) || mode === "xyz" && field("xyz_over") === "image", source = field("source");
  return over && source ? sizeFor(source) : null;
}
