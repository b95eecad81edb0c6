// The stage: what is drawn now, or the picture that was chosen.
import { html } from "../vendor/lit.js";
import { EaselElement } from "../element.js";

class Stage extends EaselElement {
  render() { return html``; }
}
customElements.define("easel-stage", Stage);
