// Create: the words and settings on one side, the stage on the other.
import { html } from "../vendor/lit.js";
import { EaselElement } from "../element.js";

class Create extends EaselElement {
  render() { return html``; }
}
customElements.define("easel-create", Create);
