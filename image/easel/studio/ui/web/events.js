// The one stream of the studio: what happens to this person's jobs and pictures, to the engine and the models.
import { at, get } from "./api.js";
import { store } from "./store.js";

const FIRST_PAUSE = 1000, LONGEST_PAUSE = 15_000;
/** Why nothing is answered, by the kind of the refusal: the door says the endpoint's state. */
const AWAY = { signed_out: "signed-out", asleep: "asleep", starting: "waking", loading: "waking", draining: "draining", failed: "broken" };
const ENDED = new Set(["done", "failed", "cancelled"]);
const names = ["hello", "job", "picture", "gone", "engine", "models"];
const listeners = new Map(names.map((name) => [name, new Set()]));

/** Be told of an event: `on("models", …)`. @returns {() => void} ends it */
export function on(name, told) {
  listeners.get(name).add(told);
  return () => listeners.get(name).delete(told);
}

/** Keep listening for as long as the page is open; after a break, everything is asked for again. */
export function listen() {
  let pause = FIRST_PAUSE;
  const open = () => {
    const source = new EventSource(at("studio/events"));
    for (const name of names) {
      source.addEventListener(name, (event) => {
        pause = FIRST_PAUSE;
        for (const told of [...listeners.get(name)]) told(JSON.parse(event.data));
      });
    }
    source.addEventListener("error", () => {
      // The browser's own reconnecting knows neither a back-off nor what a 401 or 503 means.
      source.close();
      pauseOrSign(pause).then(refresh).then(open, () => { pause = Math.min(LONGEST_PAUSE, pause * 2); open(); });
    });
  };
  on("hello", () => { if (store.get("connection") !== "ok") refresh().catch(() => {}); });
  on("job", (ticket) => {
    keepTicket(ticket);
    // A picture that was saved after the gallery answered and before this stream was there was told to nobody.
    if (misses(ticket)) setTimeout(() => misses(ticket) && fillFilm().catch(() => {}), 500);
  });
  on("engine", (engine) => store.set("engine", engine));
  let asked = 0;
  on("models", () => {
    // A download tells of each file; the checkpoints to choose from are asked for once.
    clearTimeout(asked);
    asked = setTimeout(() => get("studio/session").then((session) => store.set("session", session), () => {}), 500);
  });
  on("picture", (picture) => {
    const before = store.get("pictures");
    if (!before.some((one) => one.id === picture.id)) store.set("pictures", [picture, ...before]);
  });
  on("gone", ({ pictures }) => {
    const gone = new Set(pictures);
    store.set("pictures", store.get("pictures").filter((one) => !gone.has(one.id)));
  });
  open();
}

let looking = false;

/** Something was not answered though the stream is there: ask until all is again. */
export async function lookAgain() {
  if (looking) return;
  looking = true;
  for (let pause = FIRST_PAUSE; ; pause = Math.min(LONGEST_PAUSE, pause * 2)) {
    if (await refresh().then(() => true, () => false)) break;
    await pauseOrSign(pause);
  }
  looking = false;
}

/** After so many milliseconds, or as soon as there is a network again, or somebody looks at the page again. */
function pauseOrSign(pause) {
  return new Promise((done) => {
    const ends = new AbortController(), { signal } = ends;
    const go = () => { ends.abort(); clearTimeout(timer); done(); };
    const timer = setTimeout(go, pause);
    addEventListener("online", go, { signal });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && go(), { signal });
  });
}

/** Ask for everything that the stream tells changes of. Raises ApiError. */
export async function refresh() {
  try {
    // Nobody waits for old pictures in order to draw new ones.
    fillFilm().catch(() => { /* the next refresh asks again */ });
    const [session, { jobs }] = await Promise.all([get("studio/session"), get("jobs")]);
    // Somebody else signed in here since: nothing of the one before may stand on the page, nor be kept as theirs.
    if (!store.open(session.endpoint, session.person.id)) return location.reload();
    store.set("session", session);
    store.set("engine", session.engine);
    store.set("tickets", jobs);
    store.set("connection", "ok");
  } catch (error) {
    store.set("connection", AWAY[error.kind] ?? "lost");
    throw error;
  }
}

/** The newest pictures. One that gets ready while the answer is under way is not in it, and stays. */
async function fillFilm() {
  const before = new Set(store.get("pictures").map((one) => one.id));
  const { pictures } = await get("studio/gallery?limit=60");
  const there = new Set(pictures.map((one) => one.id));
  const meanwhile = store.get("pictures").filter((one) => !before.has(one.id) && !there.has(one.id));
  store.set("pictures", [...meanwhile, ...pictures]);
}

/** Whether an ended ticket has a picture that belongs to the strip and is not there. */
function misses({ state, results = [] }) {
  const pictures = store.get("pictures"), oldest = pictures.at(-1)?.at ?? "";
  return ENDED.has(state) && results.some((one) => one.at >= oldest && !pictures.some(({ id }) => id === one.id));
}

/** A ticket as it is now, in its place among the others. What has ended stays so: the answer to its request may come
 * behind the word that it failed, and says that it waits. @returns the one that is kept */
export function keepTicket(ticket) {
  const tickets = store.get("tickets");
  const there = tickets.findIndex((one) => one.id === ticket.id);
  if (there < 0) store.set("tickets", [...tickets, ticket]);
  else if (ENDED.has(tickets[there].state) && !ENDED.has(ticket.state)) return tickets[there];
  else store.set("tickets", tickets.with(there, { ...ticket, preview: previewOf(ticket, tickets[there]) }));
  return ticket;
}

/** Not each event carries a preview; the last one stays until the picture is there. */
const previewOf = (ticket, before) => (ENDED.has(ticket.state) ? null : ticket.preview ?? before.preview);
