// The brush that one paints with: it stays as it was, from canvas to canvas and over a reload.
import { bring, field, setField } from "../create/fields.js";

const SMALLEST = 1, LARGEST = 400;
bring({ brush_size: 48, brush_tool: "brush", brush_colour: "#d9402b" }, { brush_size: [SMALLEST, LARGEST] });

/** What masks are painted with: seen on light and dark, and no colour that pictures often have. */
export const MASK_COLOUR = "#7a4dff";

export const TOOLS = ["brush", "erase"];

export const isErasing = () => field("brush_tool") === "erase";

/** Larger or smaller by a notch: more pixels where it is large already. */
export function resize(notches) {
  const size = field("brush_size"), step = Math.max(1, Math.round(size * 0.15));
  setField("brush_size", Math.min(LARGEST, Math.max(SMALLEST, size + notches * step)));
}

/** The brush's diameter in pixels of a sheet, which may be coarser than its picture. */
export const diameter = (ground, layer) => field("brush_size") * layer.width / ground.width;

/** A pen presses; a mouse and a finger do not tell. */
export const pressed = (event) => (event.pointerType === "pen" ? 0.25 + 0.75 * event.pressure : 1);
