// What can be done with the picture on the stage.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { parametersOf, send, sendTo, use } from "../actions.js";
import { at, get, post } from "../api.js";
import { tell } from "../notices.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { field } from "./fields.js";
import { fullScreen } from "./full-screen.js";
import * as icons from "./icons.js";
import { hasMode } from "./modes.js";

/** How far a variation is from its picture: enough to see, little enough to know it again. */
const VARIED = 0.2;
/** What the studio says of a picture that was drawn over another one. */
const FROM_PICTURES = ["infotext_of_picture", "infotext_references"];
/** What a picture says of itself, where its request left it to chance: wildcards, seeds. */
const VARIED_OF = ["prompt", "negative_prompt", "seed"];

class PictureActions extends EaselElement {
  static watches = ["comparing", "pictures", "full"];
  static properties = { picture: {} };

  constructor() {
    super();
    this.picture = null;
  }

  render() {
    const { picture } = this, comparing = !!store.get("comparing"), many = store.get("pictures").length > 1;
    return html`<div class="actions" role="toolbar" aria-label=${t("stage.actions")} data-idle=${picture ? nothing : "yes"}>
      ${this.does("vary", icons.VARY, () => this.vary())}
      ${hasMode("upscale") ? this.does("upscale", icons.UPSCALE, () => sendTo("upscale", picture)) : nothing}
      ${hasMode("image") ? this.does("edit", icons.EDIT, () => sendTo("image", picture)) : nothing}
      ${hasMode("inpaint") ? this.does("inpaint", icons.INPAINT, () => sendTo("inpaint", picture)) : nothing}
      ${this.does("reuse", icons.REUSE, () => this.reuse())}
      ${this.does("compare", icons.COMPARE, () => this.compare(), { pressed: comparing, off: !many })}
      <hr>
      ${this.does("star", icons.STAR, () => this.star(), { pressed: !!picture?.starred })}
      ${this.does("share", icons.SHARE, () => this.share())}
      ${picture ? html`<a class="button icon" href=${at(picture.url)} download=${picture.id.replaceAll("/", "-")} aria-label=${t("stage.download")}
        data-tip=${t("stage.download")}>${icons.DOWNLOAD}<span aria-hidden="true">${t("stage.download.short")}</span></a>` : this.does("download", icons.DOWNLOAD, () => {})}
      ${this.does("delete", icons.DELETE, () => this.querySelector("dialog").showModal())}
      <hr>
      ${this.does("full", icons.FULL, () => fullScreen(), { pressed: !!store.get("full") })}
      <dialog aria-labelledby="delete-title"><h2 id="delete-title">${t("stage.delete.sure")}</h2>
        <p class="soft">${t("stage.delete.more")}</p>
        <form method="dialog" class="row end"><button>${t("stage.delete.keep")}</button>
          <button class="bad" @click=${() => this.forget()}>${t("stage.delete")}</button></form></dialog>
    </div>`;
  }

  does(name, icon, act, { pressed = null, off = false } = {}) {
    return html`<button type="button" class="icon" data-does=${name} ?disabled=${!this.picture || off} aria-label=${t(`stage.${name}`)}
      data-tip=${t(`stage.${name}.tip`)} aria-pressed=${pressed ?? nothing} @click=${act}>${icon}<span aria-hidden="true">${t(`stage.${name}.short`)}</span></button>`;
  }

  /** Do it, and say why not where it cannot be. */
  async tried(act) {
    try {
      return await act();
    } catch (error) {
      tell(error.words ?? String(error), { bad: true });
    }
  }

  vary() {
    return this.tried(async () => {
      const { request, remarks } = await parametersOf(this.picture);
      const over = remarks.some(({ code }) => FROM_PICTURES.includes(code)) ? await this.drawnFrom() : null;
      await send(over?.init_images ? "sdapi/v1/img2img" : "sdapi/v1/txt2img", {
        ...(over ? { ...over, ...VARIED_OF.reduce((all, name) => ({ ...all, [name]: request[name] ?? over[name] }), {}), styles: [] } : request),
        subseed: -1, subseed_strength: VARIED, batch_size: 1, n_iter: field("n_iter"),
      });
    });
  }

  /** What it was drawn over, as it was asked for; null, and said, where nobody kept that. */
  async drawnFrom() {
    try {
      return await get(`studio/gallery/request/${this.picture.id}`);
    } catch (error) {
      if (error.status !== 404) throw error;
      tell(t("stage.vary.source-gone"));
      return null;
    }
  }

  reuse() {
    return this.tried(async () => {
      const { request, remarks } = await parametersOf(this.picture);
      await use(request, remarks);
      tell(t("stage.reused"));
    });
  }

  compare() {
    const pictures = store.get("pictures"), here = pictures.indexOf(this.picture);
    const other = pictures[here + 1] ?? pictures[here - 1];
    store.set("comparing", store.get("comparing") ? null : other.id);
  }

  star() {
    const { picture } = this, starred = !picture.starred;
    return this.tried(async () => {
      await post("studio/gallery/star", { pictures: [picture.id], starred });
      store.set("pictures", store.get("pictures").map((one) => (one.id === picture.id ? { ...one, starred } : one)));
    });
  }

  share() {
    return this.tried(async () => {
      const { address } = await post("studio/shares", { picture: this.picture.id }), link = at(address);
      // Without HTTPS a browser has no clipboard: then the link is told, to be copied by hand.
      await (navigator.clipboard?.writeText(link) ?? Promise.reject()).then(() => tell(t("stage.shared")), () => tell(link));
    });
  }

  // Not `remove`: that is what every element does when it leaves the page.
  forget() {
    const { picture } = this, pictures = store.get("pictures"), here = pictures.indexOf(picture);
    return this.tried(async () => {
      await post("studio/gallery/delete", { pictures: [picture.id] });
      store.set("shown", (pictures[here + 1] ?? pictures[here - 1])?.id ?? null);
      store.set("pictures", pictures.filter((one) => one !== picture));
    });
  }
}
customElements.define("easel-picture-actions", PictureActions);
