// What became of tickets, for who looks elsewhere: the title, a sound, and errors at the fields that they are about.
import { on } from "../events.js";
import { tell, untell } from "../notices.js";
import { wordsOf } from "../remarks.js";
import { store } from "../store.js";
import { language, t } from "../texts.js";
import { fieldNamed, hasPlace, sayOf } from "./fields.js";
import { isOpen, openTickets, ready as showReady, showTicket } from "./shown.js";

const NAME = "Easel";
let ready = false;

/** Watch the tickets for as long as the page is open. */
export function watchOutcomes() {
  let open = new Set();
  store.on("tickets", (tickets) => {
    // Those that were open when this page saw them last: what ended before it was opened is no news.
    for (const ticket of tickets) if (open.has(ticket.id) && !isOpen(ticket)) ended(ticket);
    open = new Set(tickets.filter(isOpen).map((one) => one.id));
    title();
  });
  store.on("session", news);
  language.on(() => news(store.get("session")));
  on("picture", () => showReady(null));
  on("hello", ({ version }) => {
    const here = store.get("session")?.version;
    if (here && version && version !== here) {
      tell(t("app.updated"), { stays: true, action: { words: t("app.reload"), act: () => location.reload() } });
    }
  });
  for (const looked of ["pointerdown", "pointermove", "keydown", "focus"]) addEventListener(looked, seen, { passive: true });
  document.addEventListener("visibilitychange", seen);
}

function ended(ticket) {
  if (ticket.results?.length) showReady(ticket);
  if (ticket.state === "done") {
    ready = true;
    // The studio keeps what a style looks like: the last picture that was drawn with it.
    if (ticket.request?.styles?.length) store.set("styled", store.get("styled") + 1);
    if (store.get("settings").sound) chime();
  } else if (ticket.state === "failed") {
    if (!store.get("shown")) showTicket(ticket);
    const about = ticket.error?.field && fieldNamed(ticket.error.field);
    if (hasPlace(about)) sayOf(about, wordsOf(ticket.error), true);
  }
}

/** What was told, by what it is; and of it what holds only while there is no checkpoint. */
let told = new Set(), lacking = [];

/** What the studio has to tell somebody who comes back: each thing once, for as long as it is so. */
function news(session) {
  if (!session || !language.spoken) return;
  const all = (session.news ?? []).map((one) => [JSON.stringify(one), one]);
  if (session.checkpoint) lacking.splice(0).forEach(untell);
  for (const [key, one] of all) {
    if (told.has(key)) continue;
    const id = tell(wordsOf(one), { bad: one.bad });
    if (!session.checkpoint) lacking.push(id);
  }
  told = new Set(all.map(([key]) => key));
}

/** Somebody looks: from now on a picture that is ready is no news. */
function seen() {
  if (!ready || document.visibilityState !== "visible") return;
  ready = false;
  title();
}

function title() {
  const drawn = openTickets()[0];
  if (ready) document.title = t("title.ready", { name: NAME });
  else if (drawn?.state === "drawing") document.title = t("title.drawing", { name: NAME, n: Math.round(100 * (drawn.fraction ?? 0)) });
  else document.title = NAME;
}

/** Two soft notes, a fifth apart. */
function chime() {
  const sound = new AudioContext();
  [523.25, 783.99].forEach((pitch, place) => {
    const note = sound.createOscillator(), loud = sound.createGain(), from = sound.currentTime + place * 0.12;
    note.frequency.value = pitch;
    loud.gain.setValueAtTime(0, from);
    loud.gain.linearRampToValueAtTime(0.08, from + 0.02);
    loud.gain.exponentialRampToValueAtTime(0.001, from + 0.5);
    note.connect(loud).connect(sound.destination);
    note.start(from);
    note.stop(from + 0.5);
    note.onended = () => place && sound.close();
  });
}
