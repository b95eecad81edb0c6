// What elements have in common that show the source and take a picture that is dropped on them.
import { EaselElement } from "../element.js";
import { at } from "../api.js";
import { field } from "../create/fields.js";
import { store } from "../store.js";
import { addressOf, idOf, setSource, sourceOfPicture } from "./sources.js";
import { picturesIn, sourcesOf } from "./taking.js";

/** As what a browser gives a picture of the page that is dragged: one of the filmstrip. */
const LINK = "text/uri-list";

/** `address` is where the source can be shown from, "" while there is none; `over`: a file is held over this. */
export class SourceElement extends EaselElement {
  static watches = ["fields"];
  static properties = { address: { state: true }, over: { state: true } };

  constructor() {
    super();
    this.address = "";
    this.over = false;
  }

  willUpdate() {
    const source = field("source"), id = idOf(source);
    if (id === this.shownId) return;
    this.shownId = id;
    this.address = "";
    if (source) addressOf(source).then((address) => { if (this.shownId === id) this.address = address; }, (error) => this.lost(error));
  }

  /** The picture is no longer there. */
  lost() {}

  dragged(event) {
    if (!event.dataTransfer?.types.some((one) => one === "Files" || one === LINK)) return;
    event.preventDefault();
    this.over = true;
  }

  left() { this.over = false; }

  dropped(event) {
    const link = event.dataTransfer.getData(LINK), files = picturesIn(event.dataTransfer);
    const known = link && store.get("pictures").find((one) => at(one.small) === link || at(one.url) === link);
    this.over = false;
    if (!known && !files.length) return;
    event.preventDefault();
    if (known) this.takeShown(known);
    else this.take(files);
  }

  /** A picture of the studio. */
  takeShown(picture) { setSource(sourceOfPicture(picture)); }

  async take(files) {
    const [source] = await sourcesOf(files.slice(0, 1));
    if (source) setSource(source);
  }
}
