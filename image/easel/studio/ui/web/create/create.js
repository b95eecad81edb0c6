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

// Where the keyboard of a phone lies over the page instead of making it smaller, what stands at the bottom goes above it.
const seen = window.visualViewport;
seen?.addEventListener("resize", () => {
  const covered = Math.max(0, innerHeight - seen.height - seen.offsetTop);
  document.documentElement.style.setProperty("--keyboard", covered > 120 && seen.scale === 1 ? `${covered - 50}px` : "0px");
});
