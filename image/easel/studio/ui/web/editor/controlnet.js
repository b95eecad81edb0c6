// ControlNet: pictures that say where things go.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { get, post } from "../api.js";
import { checkpoint } from "../create/fields.js";
import { on } from "../events.js";
import { tell } from "../notices.js";
import { store } from "../store.js";
import { stylesheet } from "../stylesheet.js";
import { t } from "../texts.js";
import { addUnit, NUMBERS, processing, removeUnit, setUnit, units } from "./control-units.js";
import { addressOf, dataOf, idOf } from "./sources.js";
import { picturesIn, sourcesOf } from "./taking.js";

/** What module_detail calls the slider that is `processor_res`; the others are the thresholds in their order. */
const RESOLUTION = "Resolution";
const MODES = ["balanced", "prompt", "control"], RESIZES = ["just_resize", "crop_and_resize", "resize_and_fill"];
/** "control_v11p_sd15_canny [d14c016b]" without what tells two files of a name apart. */
const plain = (title) => title.replace(/ \[\w+\]$/, "");

class ControlNet extends EaselElement {
  static watches = ["fields", "session"];
  static properties = { known: { state: true }, seen: { state: true }, addresses: { state: true } };

  constructor() {
    super();
    this.known = null;
    this.seen = {};
    this.addresses = {};
  }

  connectedCallback() {
    super.connectedCallback();
    stylesheet("style/editor.css");
    this.look();
    this.endWith(on("models", () => this.look()));
  }

  async look() {
    try {
      const [{ model_list: models }, { module_detail: modules }, { control_net_unit_count: most }] = await Promise.all(
        ["controlnet/model_list", "controlnet/module_list?alias_names=true", "controlnet/settings"].map((path) => get(path)));
      // What fits is known of files that were looked into; the rest is offered, and the studio says why not.
      const library = models.length ? await get("studio/models/library?kind=controlnet").catch(() => ({ models: [] })) : { models: [] };
      const unfit = new Set(library.models.filter((one) => one.fits === false).map((one) => plain(one.use)));
      this.known = { models: models.filter((one) => !unfit.has(plain(one))), some: models.length > 0, modules, most };
    } catch (error) {
      tell(error.words ?? String(error), { bad: true });
    }
  }

  willUpdate() {
    if (this.drawnFor !== checkpoint()?.name) {
      this.drawnFor = checkpoint()?.name;
      if (this.known) this.look();
    }
    for (const { source } of units()) {
      const id = idOf(source);
      if (!id || id in this.addresses) continue;
      this.addresses[id] = "";
      addressOf(source).then((address) => { this.addresses = { ...this.addresses, [id]: address }; }, () => {});
    }
  }

  render() {
    if (!this.known) return html`<p class="soft">${t("loading")}</p>`;
    if (!this.known.models.length) {
      const words = this.known.some ? t("control.unfit", { name: checkpoint()?.label || checkpoint()?.title || "" }) : t("control.none");
      return html`<p class="soft">${words} <a href="#models">${t("control.models")}</a></p>`;
    }
    const all = units();
    return html`${all.map((unit, place) => this.unit(unit, place))}
      <div class="row"><button type="button" ?disabled=${all.length >= this.known.most} @click=${() => addUnit(this.known.models[0])}>${t("control.add")}</button></div>`;
  }

  unit(unit, place) {
    const { models, modules } = this.known, sliders = modules[unit.module]?.sliders ?? [], sized = sliders.find((one) => one.name === RESOLUTION);
    const name = t("control.unit", { n: place + 1 });
    return html`<fieldset class="unit" aria-label=${name}>
      <div class="row"><label class="tick"><input type="checkbox" .checked=${unit.enabled} @change=${(event) => setUnit(place, { enabled: event.target.checked })}> <b>${name}</b></label>
        <button type="button" class="icon" aria-label=${t("control.remove", { n: place + 1 })} data-tip=${t("control.remove", { n: place + 1 })} @click=${() => removeUnit(place)}>✕</button></div>
      ${unit.enabled ? html`
        ${this.picture(unit, place)}
        <div class="fields">
          ${this.choice(place, "model", unit.model, models)}
          ${this.choice(place, "module", unit.module, Object.keys(modules), () => ({ threshold_a: -1, threshold_b: -1 }))}
          ${sized ? html`<label class="tick wide" data-tip=${t("control.pixel_perfect.tip")}><input type="checkbox" .checked=${unit.pixel_perfect}
            @change=${(event) => setUnit(place, { pixel_perfect: event.target.checked })}> ${t("control.pixel_perfect")}</label>` : nothing}
          ${sized && !unit.pixel_perfect ? this.number(place, "processor_res", unit.processor_res, [sized.min, sized.max, sized.step]) : nothing}
          ${sliders.filter((one) => one !== sized).map((slider, number) => this.slider(unit, place, slider, ["threshold_a", "threshold_b"][number]))}
          ${Object.entries(NUMBERS).map(([field, range]) => this.number(place, field, unit[field], range))}
          ${this.choice(place, "control_mode", unit.control_mode, MODES.map((one, value) => ({ value, label: t(`control.mode.${one}`) })))}
          ${this.choice(place, "resize_mode", unit.resize_mode, RESIZES.map((one, value) => ({ value, label: t(`editor.resize.${one}`) })))}
        </div>` : nothing}
    </fieldset>`;
  }

  picture(unit, place) {
    const address = unit.source && this.addresses[idOf(unit.source)], seen = this.seen[place];
    return html`<div class="control-picture" @dragover=${(event) => event.preventDefault()} @drop=${(event) => this.dropped(event, place)}>
      <div class="pair">
        ${address ? html`<img src=${address} alt=${t("control.picture", { n: place + 1 })}>` : html`<p class="soft">${t("control.own")}</p>`}
        ${seen ? html`<img src=${seen} alt=${t("control.seen")}>` : nothing}
      </div>
      <div class="row wrap">
        <button type="button" @click=${(event) => event.target.closest(".control-picture").querySelector("input").click()}>${t("editor.source.choose")}</button>
        ${unit.source ? html`<button type="button" @click=${() => this.show(unit, place)}>${t("control.show")}</button>
          <button type="button" @click=${() => this.choose(place, null)}>${t("editor.source.remove")}</button>` : nothing}
      </div>
      <input class="sr" type="file" accept="image/*" tabindex="-1" aria-label=${t("control.picture", { n: place + 1 })}
        @change=${(event) => this.take([...event.target.files], place)}>
    </div>`;
  }

  choice(place, field, value, options, more = () => ({})) {
    const all = options.map((one) => (typeof one === "string" ? { value: one, label: one } : one));
    return html`<label class="field" data-tip=${t(`control.${field}.tip`)}><span>${t(`control.${field}`)}</span>
      <select @change=${(event) => setUnit(place, { [field]: all[event.target.selectedIndex].value, ...more() })}>
        ${all.map((one) => html`<option .selected=${one.value === value}>${one.label}</option>`)}</select></label>`;
  }

  slider(unit, place, { name, value, min, max, step }, field) {
    return this.number(place, field, unit[field] < 0 ? value : unit[field], [min, max, step ?? 1], name);
  }

  number(place, field, value, [least, most, step], words = t(`control.${field}`)) {
    const wrong = value < least ? t("create.fault.least", { n: least }) : value > most ? t("create.fault.most", { n: most }) : "";
    return html`<label class="field"><span>${words}</span>
      <input type="number" min=${least} max=${most} step=${step} .value=${String(value)} aria-invalid=${wrong ? "true" : "false"}
        @change=${(event) => event.target.value !== "" && setUnit(place, { [field]: Number(event.target.value) })}>
      ${wrong ? html`<p class="wrong" role="alert">${wrong}</p>` : nothing}</label>`;
  }

  choose(place, source) {
    this.seen = { ...this.seen, [place]: undefined };
    setUnit(place, { source });
  }

  async take(files, place) {
    const [source] = await sourcesOf(files.slice(0, 1));
    if (source) this.choose(place, source);
  }

  dropped(event, place) {
    event.preventDefault();
    this.take(picturesIn(event.dataTransfer), place);
  }

  /** What the preprocessor makes of the picture. */
  async show(unit, place) {
    try {
      const { processor_res, threshold_a, threshold_b } = processing(unit);
      const { images: [map] } = await post("controlnet/detect", {
        controlnet_module: unit.module, controlnet_input_images: [await dataOf(unit.source)], controlnet_processor_res: processor_res,
        controlnet_threshold_a: threshold_a, controlnet_threshold_b: threshold_b,
      });
      this.seen = { ...this.seen, [place]: `data:image/png;base64,${map}` };
    } catch (error) {
      tell(error.words ?? String(error), { bad: true });
    }
  }
}
customElements.define("easel-controlnet", ControlNet);
