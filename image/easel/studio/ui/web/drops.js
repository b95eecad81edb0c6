// A picture dropped or pasted anywhere on the page: what is to be done with it is asked. Elements that take one themselves,
// and the models' place with its own files, come first.
import { store } from "./store.js";
import { stylesheet } from "./stylesheet.js";

const PICTURE = /^image\//;
const EDITABLE = "input, textarea, [contenteditable]";

/** A picture of the page itself is dragged: it is here already. */
let own = false;
addEventListener("dragstart", () => { own = true; });
addEventListener("dragend", () => { own = false; });

const concerns = (event) => !own && !event.defaultPrevented && store.get("place") !== "models" && event.dataTransfer?.types.includes("Files");
const pictures = (data) => [...data.files].filter((one) => PICTURE.test(one.type));

addEventListener("dragover", (event) => {
  if (concerns(event)) event.preventDefault();
});

addEventListener("drop", (event) => {
  if (!concerns(event)) return;
  // Else the browser leaves the page, and shows the file.
  event.preventDefault();
  offer(pictures(event.dataTransfer));
});

addEventListener("paste", (event) => {
  const typed = event.target.closest?.(EDITABLE) && event.clipboardData.types.includes("text/plain");
  if (event.defaultPrevented || typed || store.get("place") === "models") return;
  const found = pictures(event.clipboardData);
  if (found.length) event.preventDefault();
  offer(found);
});

async function offer(files) {
  if (!files.length) return;
  const [{ offer: ask }] = await Promise.all([import("./editor/offer.js"), stylesheet("style/editor.css")]);
  ask(files);
}
