// Create: the words and settings on one side, the stage on the other.
import { html } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { watchOutcomes } from "./outcomes.js";
import "./form.js";
import "./stage.js";

class Create extends EaselElement {
  render() {
    return html`<div class="create"><easel-form></easel-form><easel-stage></easel-stage></div>`;
  }
}
customElements.define("easel-create", Create);
watchOutcomes();
