// Files that somebody chose, dropped or pasted, on their way to be sources.
import { sayOf } from "../create/fields.js";
import { sourceOfFile } from "./sources.js";

const PICTURE = /^image\//;

/** The pictures among what is dropped or pasted. @param {DataTransfer} data */
export const picturesIn = (data) => [...(data?.files ?? [])].filter((one) => PICTURE.test(one.type));

/** Files as sources; why one cannot be taken is said beside the field `about`. @returns {Promise<import("./sources.js").Source[]>} */
export async function sourcesOf(files, about = "source") {
  const found = [];
  sayOf(about, "");
  for (const file of files) {
    try {
      found.push(await sourceOfFile(file));
    } catch (error) {
      if (!error.words) throw error;
      sayOf(about, error.words, true);
    }
  }
  return found;
}
