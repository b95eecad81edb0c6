// Words of the page, one file a language: texts/en.json is the measure, another may lack what it does not know yet.

/** Languages that the page speaks, by the names that their speakers use. */
export const LANGUAGES = { en: "English", de: "Deutsch" };

let words = {}, english = {};
const listeners = new Set();

export const language = {
  code: "en",
  /** Whether there are words: what is said before is in nobody's language. */
  get spoken() { return Object.keys(words).length > 0; },
  on(told) { listeners.add(told); return () => listeners.delete(told); },
};

const read = async (code) => (await fetch(new URL(`texts/${code}.json`, import.meta.url))).json();

const KEPT = "easel:language", COOKIE = "easel-language", YEAR = 31536000;

/** What was chosen on this device; "" where nothing was. The door is told by a cookie: its own pages speak it too. */
export function chosen() {
  const code = localStorage.getItem(KEPT) ?? "";
  if (code) tellDoor(code);
  return code;
}

/** Keep `code` for this device, and for the door of this host. */
export function choose(code) {
  localStorage.setItem(KEPT, code);
  tellDoor(code);
}

const tellDoor = (code) => {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${COOKIE}=${code}; Path=/; Max-Age=${YEAR}; SameSite=Lax${secure}`;
};

/** Speak `code`, or what the browser prefers where it is empty. */
export async function speak(code) {
  const wanted = code || navigator.languages.map((one) => one.split("-")[0]).find((one) => one in LANGUAGES) || "en";
  const asked = Object.keys(english).length ? english : read("en");
  [english, words] = await Promise.all([asked, wanted === "en" ? asked : read(wanted)]);
  language.code = wanted;
  document.documentElement.lang = wanted;
  for (const told of listeners) told();
}

/**
 * The words of `key`. `{n}` and other names in braces are filled in; a text may have forms for one and many:
 * `{"one": "{n} picture", "other": "{n} pictures"}`, chosen by `n` as the language counts.
 */
export function t(key, values = {}) {
  let text = words[key] ?? english[key];
  if (text && typeof text === "object") {
    text = text[new Intl.PluralRules(language.code).select(values.n ?? 0)] ?? text.other;
  }
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? said(values[name]) : all));
}

/** A number with so many digits behind its point, as the language writes it. */
export const decimal = (value, digits) =>
  value.toLocaleString(language.code, { minimumFractionDigits: digits, maximumFractionDigits: digits });

const said = (value) => (typeof value === "number" ? value.toLocaleString(language.code) : String(value));

/** A duration for people: "3 s", "2 min", "1 h 20 min". */
export function duration(seconds) {
  if (seconds < 90) return t("time.seconds", { n: Math.max(1, Math.round(seconds)) });
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return t("time.minutes", { n: minutes });
  return t("time.hours", { h: Math.floor(minutes / 60), m: minutes % 60 });
}
