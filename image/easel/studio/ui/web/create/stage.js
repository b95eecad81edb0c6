// The stage: what is drawn now, or the picture that was chosen, as large as the window has room.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement, styled } from "../element.js";
import { again, cancel, cancelAll } from "../actions.js";
import { mark } from "../mark.js";
import { wordsOf } from "../remarks.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { examples, field, setField } from "./fields.js";
import { fullScreen } from "./full-screen.js";
import { modeNow } from "./modes.js";
import { whole } from "./progress.js";
import { dismiss, isOpen, openTickets, shownPicture, shownTicket, step } from "./shown.js";
import "./film.js";
import "./picture-actions.js";
import "./queue.js";
import "./view.js";

const EDITABLE = "input, textarea, select, [contenteditable]";

class Stage extends EaselElement {
  static watches = ["session", "tickets", "pictures", "shown", "live", "comparing", "dismissed", "fields", "preparing", "modes", "full", "connection"];

  connectedCallback() {
    super.connectedCallback();
    this.hear(window, "keydown", (event) => this.key(event));
  }

  render() {
    const ticket = shownTicket(), picture = shownPicture(), mode = modeNow(field("mode"));
    const preparing = mode?.stage && store.get("preparing") !== false;
    return html`<section class="stage ${store.get("full") ? "full" : ""} ${preparing ? "preparing" : ""}" aria-label=${t("stage.title")}>
      ${mode?.stage ? this.sides(preparing) : nothing}
      <div class="easel" data-state=${this.state(ticket, picture)}>
        ${preparing ? mode.stage() : this.shown(ticket, picture)}
      </div>
      ${preparing ? nothing : html`<easel-picture-actions .picture=${ticket ? null : picture}></easel-picture-actions>`}
      <div class="line">${preparing ? mode.tools?.() ?? nothing : ticket ? this.progress(ticket) : picture ? this.about(picture) : nothing}</div>
      <div class="strip"><easel-queue></easel-queue><easel-film></easel-film></div>
      <p class="sr" role="status">${this.spoken(ticket)}</p>
    </section>`;
  }

  state(ticket, picture) {
    if (ticket) return ticket.state;
    if (!store.get("session")) return "loading-page";
    return picture ? "picture" : "empty";
  }

  /** What is prepared (a canvas), and what came of it. */
  sides(preparing) {
    const side = (on) => html`<button type="button" aria-pressed=${on === preparing} @click=${() => store.set("preparing", on)}>
      ${t(on ? "stage.canvas" : "stage.result")}</button>`;
    return html`<div class="segments sides" role="group" aria-label=${t("stage.sides")}>${side(true)}${side(false)}</div>`;
  }

  shown(ticket, picture) {
    if (ticket) return ticket.state === "failed" ? this.failed(ticket) : this.drawing(ticket);
    const session = store.get("session");
    if (!session) return html`<div class="sheet shimmer" ${styled({ "--w": 1, "--h": 1 })}></div>`;
    if (picture && store.get("comparing")) return this.comparison(picture);
    if (picture) return html`<easel-view .picture=${picture}></easel-view>`;
    return session.checkpoint ? this.invitation() : html`<div class="invite"><h2>${t("stage.no-checkpoint")}</h2>
      <p class="soft">${t("stage.no-checkpoint.more")}</p><a class="button main" href="#models">${t("create.no-checkpoint.act")}</a></div>`;
  }

  comparison(picture) {
    import("./compare.js");
    return html`<easel-compare .picture=${picture}></easel-compare>`;
  }

  drawing(ticket) {
    const { width, height } = ticket;
    return html`<div class="sheet ${ticket.preview ? "" : "shimmer"}" ${styled({ "--w": width || 1, "--h": height || 1 })}>
      ${ticket.preview ? html`<img class="preview" src=${ticket.preview} alt=${t("stage.preview")} width=${width} height=${height}>` : nothing}
    </div>`;
  }

  failed(ticket) {
    return html`<div class="invite bad"><h2>${t("stage.failed")}</h2><p>${wordsOf(ticket.error)}</p>
      <p class="soft quoted">${ticket.prompt}</p>
      <div class="row">
        ${ticket.kind === "txt2img" ? html`<button type="button" @click=${() => { dismiss(ticket); again(ticket); }}>${t("stage.again")}</button>` : nothing}
        <button type="button" @click=${() => dismiss(ticket)}>${t("stage.dismiss")}</button></div></div>`;
  }

  invitation() {
    return html`<div class="invite">${mark(72)}<h2>${t("stage.empty")}</h2>
      <p class="soft">${t("stage.examples")}</p><div class="chips">${examples().slice(0, 4).map((one) => html`
        <button type="button" class="chip" aria-pressed=${one === field("prompt")} @click=${() => setField("prompt", one)}>${one}</button>`)}</div></div>`;
  }

  progress(ticket) {
    const words = whole(ticket).filter(Boolean), known = ticket.state === "drawing" || ticket.state === "saving";
    return html`<div class="progress" data-state=${ticket.state}>
      <div class="track" role="progressbar" aria-label=${t("stage.progress")} aria-valuemin="0" aria-valuemax="100"
        aria-valuenow=${known ? Math.round(100 * (ticket.fraction ?? 0)) : nothing}><i ${styled({ "--done": known ? ticket.fraction ?? 0 : 0 })}></i></div>
      <p><b>${words[0]}</b>${words.slice(1).map((one) => html` <span>· ${one}</span>`)}</p>
      ${isOpen(ticket) ? html`<button type="button" data-tip=${t("stage.stop.tip")} @click=${() => cancel(ticket.id)}>${t("stage.stop")}</button>
        ${openTickets().length > 1 ? html`<button type="button" data-tip=${t("queue.stop-all.tip")} @click=${cancelAll}>${t("queue.stop-all")}</button>` : nothing}` : nothing}
    </div>`;
  }

  about(picture) {
    const ticket = store.get("tickets").find((one) => one.results?.some(({ id }) => id === picture.id));
    const notes = [...(ticket?.state === "cancelled" ? [t("stage.cut-short")] : []), ...(ticket?.remarks ?? []).map(wordsOf)];
    return html`<div class="about">
      <p class="quoted" title=${picture.prompt}>${picture.prompt}</p>
      <p class="facts soft">${picture.width} × ${picture.height} · ${picture.seed ?? ""} <span class="from">· ${picture.checkpoint ?? ""}</span></p>
      ${notes.length ? html`<button type="button" class="chip note" popovertarget="stage-notes">${t("stage.notes", { n: notes.length })}</button>
        <div id="stage-notes" popover class="menu notes"><ul>${notes.map((one) => html`<li>${one}</li>`)}</ul></div>` : nothing}
    </div>`;
  }

  /** For who listens: changes of state and each quarter, not each step. */
  spoken(ticket) {
    if (!ticket) return "";
    if (ticket.state !== "drawing") return whole(ticket).filter(Boolean).join(", ");
    return t("stage.percent", { n: 25 * Math.floor(4 * (ticket.fraction ?? 0)) });
  }

  key(event) {
    if (store.get("place") !== "create" || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") return this.escape(event);
    if (event.target.closest?.(EDITABLE) || document.querySelector("dialog[open], :popover-open:not(#tip)")) return;
    if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
    else if (event.key === "f" || event.key === "F") fullScreen();
    else if (event.key === "Delete" && !shownTicket() && shownPicture()) this.querySelector(".actions dialog")?.showModal();
    else return;
    event.preventDefault();
  }

  /** Closes what is open; with nothing open, stops what is drawn. */
  escape(event) {
    if (document.querySelector("dialog[open], :popover-open:not(#tip)")) return;
    if (store.get("full")) fullScreen();
    else if (store.get("comparing")) store.set("comparing", null);
    else {
      const drawing = store.get("tickets").find((one) => one.state === "drawing" || one.state === "loading");
      if (!drawing || event.target.closest?.(EDITABLE)) return;
      cancel(drawing.id);
    }
    event.preventDefault();
  }
}
customElements.define("easel-stage", Stage);
