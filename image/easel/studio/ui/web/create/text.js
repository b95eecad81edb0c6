// Text to picture: the mode that a first visit begins with.
import { drawing } from "./body.js";

export default {
  shares: ["prompt", "negative", "size", "count", "seed", "advanced"],
  ask: async (fields) => ({ route: "sdapi/v1/txt2img", body: await drawing(fields, "text") }),
};
