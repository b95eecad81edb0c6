// What elements have in common that show the source and take a picture that is dropped on them.
import { EaselElement } from "../element.js";
import { field } from "../create/fields.js";
import { addressOf, idOf, setSource } from "./sources.js";
import { picturesIn, sourcesOf } from "./taking.js";

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
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.over = true;
  }

  left() { this.over = false; }

  dropped(event) {
    const files = picturesIn(event.dataTransfer);
    this.over = false;
    if (!files.length) return;
    event.preventDefault();
    this.take(files);
  }

  async take(files) {
    const [source] = await sourcesOf(files.slice(0, 1));
    if (source) setSource(source);
  }
}
