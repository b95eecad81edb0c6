// Text to picture: the mode that a first visit begins with.
import { t } from "../texts.js";
import { drawing } from "./body.js";
import { checkpoint, field } from "./fields.js";

export default {
  shares: ["prompt", "negative", "size", "count", "seed", "references", "advanced"],
  faults: () => (checkpoint()?.needs_picture && !field("reference_images").length ? { reference_images: t("editor.references.needed") } : {}),
  ask: async (fields) => ({ route: "sdapi/v1/txt2img", body: await drawing(fields, "text") }),
};
