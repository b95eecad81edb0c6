// Units of ControlNet as they stand in the field `controlnet_units`, and as A1111's extension takes them.
import { field, setField } from "../create/fields.js";
import { dataOf } from "./sources.js";

const FRESH = {
  enabled: true, source: null, module: "none", weight: 1, guidance_start: 0, guidance_end: 1, control_mode: 0, resize_mode: 1,
  pixel_perfect: true, processor_res: 512, threshold_a: -1, threshold_b: -1,
};
/** Ranges of the numbers that each unit has: least, most, step. */
export const NUMBERS = { weight: [0, 2, 0.05], guidance_start: [0, 1, 0.01], guidance_end: [0, 1, 0.01] };

export const units = () => field("controlnet_units") ?? [];

export const addUnit = (model) => setField("controlnet_units", [...units(), { ...FRESH, model }]);

export const removeUnit = (place) => setField("controlnet_units", units().filter((_, other) => other !== place));

export const setUnit = (place, changes) => setField("controlnet_units", units().map((one, other) => (other === place ? { ...one, ...changes } : one)));

/** What a preprocessor is asked with: the thresholds that it has, and its resolution unless that follows from the sizes. */
export const processing = ({ pixel_perfect, processor_res, threshold_a, threshold_b }) => ({
  processor_res: pixel_perfect ? -1 : processor_res, threshold_a, threshold_b,
});

/** The units that are on, as a request carries them. Raises SourceError. */
export function sent(all) {
  return Promise.all(all.map(async (one) => {
    const { source, ...unit } = one;
    // Without a picture of its own a unit sees the one that is drawn over.
    return { ...unit, ...processing(one), ...(source ? { image: await dataOf(source) } : {}) };
  }));
}
