// The modes of Create: ways to a picture that share one prompt, one stage and one Generate.
//
// A mode that is chosen is loaded then; a visit pays for what it uses. To add one: a file whose default export is a Mode
// (those that begin with a picture are in ../editor), a row here, `create.mode.NAME` and `create.mode.NAME.tip` in texts/,
// and an icon in icons.js.
import { store } from "../store.js";
import { stylesheet } from "../stylesheet.js";
import text from "./text.js";

/**
 * @typedef {object} Mode
 * @property {string[]} shares  what of the common form it shows: "prompt", "negative", "size", "count", "seed", "advanced"
 * @property {() => unknown} [settings]  its own fields, under the prompt (a Lit template)
 * @property {() => unknown} [stage]  what stands on the stage in the picture's place while one prepares (a canvas)
 * @property {() => unknown} [tools]  what the canvas on the stage is worked with, under it
 * @property {(fields: object) => Promise<Asked|Asked[]>} [ask]  what is sent: see body.js
 * @property {() => Promise<void>} [act]  what Generate does in a mode that asks for no picture
 * @property {(fields: object) => Record<string, string>} [faults]  why it cannot be sent: words by the field's name
 * @property {string} [action]  key of the words on Generate, "create.generate" where there is none
 */

/** @typedef {{route: string, body: object}} Asked */

/** A mode of ../editor, with the looks that they share. */
const edit = async (module) => (await Promise.all([module, stylesheet("style/editor.css")]))[0];

/** @type {{name: string, load: () => Promise<{default: Mode}>}[]} in the order of the switch */
export const MODES = [
  { name: "text", load: async () => ({ default: text }) },
  { name: "image", load: () => edit(import("../editor/image.js")) },
  { name: "sketch", load: () => edit(import("../editor/sketch.js")) },
  { name: "inpaint", load: () => edit(import("../editor/inpaint.js")) },
  { name: "outpaint", load: () => edit(import("../editor/outpaint.js")) },
  { name: "upscale", load: () => edit(import("../editor/upscale.js")) },
  { name: "xyz", load: () => edit(import("../editor/xyz.js")) },
  { name: "batch", load: () => edit(import("../editor/batch.js")) },
  { name: "read", load: () => edit(import("../editor/read.js")) },
];

const loaded = new Map([["text", text]]);

export const hasMode = (name) => MODES.some((one) => one.name === name);

/** The mode of that name if it is loaded, for drawing; `loadMode` brings it. @returns {Mode|undefined} */
export const modeNow = (name) => loaded.get(hasMode(name) ? name : "text");

/** @returns {Promise<Mode>} */
export async function loadMode(name) {
  const known = MODES.find((one) => one.name === name) ?? MODES[0];
  if (!loaded.has(known.name)) {
    try {
      loaded.set(known.name, (await known.load()).default);
    } catch {
      // The studio was updated, and this tab's files are gone. All fields are kept.
      location.reload();
    }
    store.set("modes", [...loaded.keys()]);
  }
  return loaded.get(known.name);
}
