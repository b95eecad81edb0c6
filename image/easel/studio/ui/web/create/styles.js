// Styles: words that are kept under a name, one's own and the team's, and added to the prompt.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { ask, at, del, get, post } from "../api.js";
import { tell } from "../notices.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { field, setField } from "./fields.js";
import { shownPicture } from "./shown.js";

/** A small picture that was drawn with the style, one's own before what the team shows. */
const look = ({ look: small }) => (small ? html`<img src=${at(small)} alt="" width="24" height="24">` : nothing);

const address = (whose, name) => `studio/styles/${whose}?name=${encodeURIComponent(name)}`;

class Styles extends EaselElement {
  static watches = ["fields", "shown", "pictures"];
  static properties = { known: { state: true }, editing: { state: true }, wrong: { state: true } };

  constructor() {
    super();
    this.known = this.editing = null;
    this.wrong = "";
  }

  connectedCallback() {
    super.connectedCallback();
    this.endWith(store.on("styled", () => this.look()));
    this.look();
  }

  async look() {
    try {
      this.known = await get("studio/styles");
    } catch {
      this.known ??= { own: [], team: [], may_change_team: false };
    }
  }

  /** All by name: one's own comes before the team's. @returns {(object & {whose: string})[]} */
  get all() {
    const own = this.known.own.map((one) => ({ ...one, whose: "own" }));
    const names = new Set(own.map((one) => one.name));
    return [...own, ...this.known.team.filter((one) => !names.has(one.name)).map((one) => ({ ...one, whose: "team" }))];
  }

  render() {
    if (!this.known) return html`<p class="soft">${t("loading")}</p>`;
    const chosen = field("styles");
    return html`
      ${this.all.length ? html`<div class="chips" role="group" aria-label=${t("create.section.styles")}>
        ${this.all.map((one) => html`<button type="button" class="chip" aria-pressed=${chosen.includes(one.name)}
          data-tip=${[one.prompt, one.negative_prompt && `− ${one.negative_prompt}`].filter(Boolean).join("\n")}
          @click=${() => this.toggle(one.name)}>${look(one)}${one.name}</button>`)}
      </div>` : html`<p class="soft">${t("create.styles.none")}</p>`}
      <div class="row wrap">
        <button type="button" @click=${() => this.edit(null)}>${t("styles.keep")}</button>
        ${this.all.length ? html`<button type="button" @click=${() => this.edit(this.all[0])}>${t("styles.edit")}</button>` : nothing}
      </div>
      ${this.editing ? this.dialog() : nothing}`;
  }

  toggle(name) {
    const chosen = field("styles");
    setField("styles", chosen.includes(name) ? chosen.filter((one) => one !== name) : [...chosen, name]);
  }

  /** Open the dialog for a style, or for a new one of the words that are written. */
  edit(style) {
    this.wrong = "";
    this.editing = style ? { ...style, was: style.name }
      : { name: "", whose: "own", prompt: field("prompt"), negative_prompt: field("negative_prompt"), was: null };
    this.updateComplete.then(() => {
      const dialog = this.querySelector("dialog");
      if (!dialog.open) dialog.showModal();
    });
  }

  dialog() {
    const style = this.editing;
    const text = (name, rows) => html`<label class="field"><span>${t(`styles.${name}`)}</span>
      <textarea rows=${rows} .value=${style[name]} @input=${(event) => { style[name] = event.target.value; }}></textarea></label>`;
    return html`<dialog aria-labelledby="style-title" @close=${() => { this.editing = null; }}>
      <h2 id="style-title">${t(style.was ? "styles.edit" : "styles.keep")}</h2>
      <form class="stack" @submit=${(event) => { event.preventDefault(); this.keep(); }}>
        ${style.was ? html`<label class="field"><span>${t("styles.which")}</span>
          <select @change=${(event) => this.edit(this.all[event.target.selectedIndex])}>
            ${this.all.map((one) => html`<option .selected=${one.name === style.was}>${one.name}</option>`)}</select></label>` : nothing}
        <label class="field"><span>${t("styles.name")}</span>
          <input required maxlength="200" .value=${style.name} @input=${(event) => { style.name = event.target.value; }}></label>
        ${text("prompt", 3)}${text("negative_prompt", 2)}
        <small class="soft">${t("styles.how")}</small>
        ${style.was || !this.known.may_change_team ? nothing : html`<label><input type="checkbox" .checked=${style.whose === "team"}
          @change=${(event) => { style.whose = event.target.checked ? "team" : "own"; }}> ${t("styles.team")}</label>`}
        ${this.wrong ? html`<p class="wrong" role="alert">${this.wrong}</p>` : nothing}
        <div class="row wrap">
          <button class="main">${t("styles.save")}</button>
          ${style.was && this.changes(style) && shownPicture() ? html`<button type="button" data-tip=${t("styles.show.tip")} @click=${this.show}>${t("styles.show")}</button>` : nothing}
          ${style.was ? html`<button type="button" class="bad" @click=${this.forget}>${t("styles.delete")}</button>` : nothing}
          <button type="button" @click=${() => this.querySelector("dialog").close()}>${t("close")}</button>
        </div>
      </form>
    </dialog>`;
  }

  async keep() {
    const { whose, was, name, prompt, negative_prompt } = this.editing, body = { name, prompt, negative_prompt };
    await this.tried(() => (was ? ask("PUT", address(whose, was), body) : post(`studio/styles/${whose}`, body)));
  }

  /** The team's styles are not a visitor's to change. */
  changes = ({ whose }) => whose === "own" || this.known.may_change_team;

  async show() {
    const { whose, was } = this.editing;
    await this.tried(() => ask("PUT", `studio/styles/${whose}/look?name=${encodeURIComponent(was)}`, { picture: shownPicture().id }));
  }

  async forget() {
    const { whose, was } = this.editing;
    if (await this.tried(() => del(address(whose, was)))) {
      setField("styles", field("styles").filter((one) => one !== was));
      tell(t("styles.deleted", { name: was }));
    }
  }

  async tried(work) {
    try {
      await work();
    } catch (error) {
      this.wrong = error.words;
      return false;
    }
    this.querySelector("dialog").close();
    // Completion asks for their names again; so does this.
    store.set("styled", store.get("styled") + 1);
    return true;
  }
}
customElements.define("easel-styles", Styles);
