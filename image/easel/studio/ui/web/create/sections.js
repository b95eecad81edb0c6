// The parts of Advanced. Each shows its fields and says them in the request.
//
// To add one: an element, a row here, and `create.section.NAME` in texts/.
import { html } from "../vendor/lit.js";
import "../editor/controlnet.js";
import { takes } from "./fields.js";
import { notTaken } from "./not-taken.js";
import "./faces.js";
import "./hires.js";
import "./presets.js";
import "./refiner.js";
import "./sampling.js";
import "./styles.js";

/**
 * @typedef {object} Section
 * @property {string} name
 * @property {string[]} [modes]  those that have it; all where it is left out
 * @property {() => unknown} element  a Lit template
 */

/** @type {Section[]} */
export const SECTIONS = [
  { name: "sampling", element: () => html`<easel-sampling></easel-sampling>` },
  { name: "hires", modes: ["text", "xyz"], element: () => html`<easel-hires></easel-hires>` },
  { name: "refiner", element: () => (takes("refiner") ? html`<easel-refiner></easel-refiner>` : notTaken("refiner", "refiner_checkpoint")) },
  { name: "faces", element: () => html`<easel-faces></easel-faces>` },
  { name: "controlnet", element: () => (takes("controlnet") ? html`<easel-controlnet></easel-controlnet>` : notTaken("controlnet")) },
  { name: "presets", element: () => html`<easel-presets></easel-presets>` },
  { name: "styles", element: () => html`<easel-styles></easel-styles>` },
];
