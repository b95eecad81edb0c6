// Downloads go to the disk and not into the page's memory: the browser follows an address.
import { at, post } from "../api.js";

/** Download pictures as one ZIP file. Raises ApiError. */
export async function download(ids) {
  const { address } = await post("studio/gallery/zip/tickets", { pictures: ids });
  follow(at(address), "");
}

/** Download one picture. */
export function downloadOne(picture) {
  follow(at(picture.url), picture.id.replace("/", "-"));
}

function follow(href, name) {
  const link = Object.assign(document.createElement("a"), { href, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}
