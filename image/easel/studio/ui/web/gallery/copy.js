// To the clipboard, and told.
import { tell } from "../notices.js";
import { t } from "../texts.js";

/** Where the browser has no clipboard (no HTTPS), the text itself is told, to be copied by hand. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    tell(t("gallery.copied"));
  } catch {
    tell(text);
  }
}
