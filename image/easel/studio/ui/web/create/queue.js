// The tickets: what is drawn, what waits and for how long, what failed; each can be stopped, waiting ones reordered.
import { html, nothing, repeat } from "../vendor/lit.js";
import { EaselElement, styled } from "../element.js";
import { cancel, move } from "../actions.js";
import { store } from "../store.js";
import { t } from "../texts.js";
import { CLOSE, EARLIER, LATER } from "./icons.js";
import { brief } from "./progress.js";
import { dismiss, failedTickets, isActive, isOpen, openTickets, shownTicket, showTicket } from "./shown.js";

class Queue extends EaselElement {
  static watches = ["tickets", "shown", "live", "dismissed", "connection"];

  render() {
    const tickets = [...openTickets(), ...failedTickets()];
    if (!tickets.length) return nothing;
    return html`<ol class="queue" aria-label=${t("queue.title")} @dragover=${this.over} @drop=${this.drop}>
      ${repeat(tickets, (one) => one.id, (one) => this.ticket(one))}
    </ol>`;
  }

  ticket(ticket) {
    const waits = ticket.state === "queued", words = brief(ticket);
    return html`<li class="ticket" data-id=${ticket.id} data-state=${ticket.state} draggable=${waits ? "true" : "false"}
        aria-current=${shownTicket() === ticket ? "true" : nothing} @dragstart=${this.drag}>
      <button type="button" class="look" @click=${() => showTicket(ticket)}>
        <span class="thumb ${isActive(ticket) && !ticket.preview ? "shimmer" : ""}">
          ${ticket.preview ? html`<img src=${ticket.preview} alt="">` : html`<b aria-hidden="true">${ticket.state === "failed" ? "!" : waits ? ticket.place : ""}</b>`}</span>
        <span class="what"><b>${words}</b><small>${ticket.prompt}</small>${waits && ticket.ahead?.pictures ? html`<small>${t("queue.ahead", { n: ticket.ahead.pictures })}</small>` : nothing}</span>
      </button>
      <span class="does">
        ${waits ? html`
          ${this.mover(ticket, -1, EARLIER, "queue.earlier")}
          ${this.mover(ticket, 1, LATER, "queue.later")}` : nothing}
        <button type="button" class="icon" aria-label=${t(isOpen(ticket) ? "queue.cancel" : "stage.dismiss")} data-tip=${t(isOpen(ticket) ? "queue.cancel" : "stage.dismiss")}
          @click=${() => (isOpen(ticket) ? cancel(ticket.id) : dismiss(ticket))}>${CLOSE}</button>
      </span>
      <i class="done" ${styled({ "--done": ticket.state === "drawing" ? ticket.fraction ?? 0 : 0 })}></i>
    </li>`;
  }

  mover(ticket, by, icon, words) {
    const waiting = openTickets().filter((one) => one.state === "queued"), place = waiting.indexOf(ticket);
    if (waiting.length < 2) return nothing;
    const before = by < 0 ? waiting[place - 1]?.id : waiting[place + 2]?.id ?? null;
    const can = by < 0 ? place > 0 : place < waiting.length - 1;
    return html`<button type="button" class="icon" ?disabled=${!can} aria-label=${t(words)} data-tip=${t(words)}
      @click=${() => move(ticket.id, before)}>${icon}</button>`;
  }

  drag(event) {
    this.dragged = event.currentTarget.dataset.id;
    event.dataTransfer.effectAllowed = "move";
  }

  over(event) {
    if (this.dragged && event.target.closest(".ticket[data-state=queued]")) event.preventDefault();
  }

  drop(event) {
    const target = event.target.closest(".ticket"), id = this.dragged;
    this.dragged = null;
    if (!target || !id || target.dataset.id === id) return;
    event.preventDefault();
    const waiting = openTickets().filter((one) => one.state === "queued").map((one) => one.id);
    // Dropped on one further back, it stands behind that; on one further front, before it.
    const on = waiting.indexOf(target.dataset.id), further = waiting.indexOf(id) < on;
    move(id, further ? waiting[on + 1] ?? null : target.dataset.id);
  }
}
customElements.define("easel-queue", Queue);
