// The person's menu: who one is, how the page looks and sounds, how others get in, help, and the way out.
import { html, nothing } from "../vendor/lit.js";
import { EaselElement } from "../element.js";
import { at } from "../api.js";
import { store } from "../store.js";
import { LANGUAGES, choose, language, speak, t } from "../texts.js";
import { tell } from "../notices.js";

const THEMES = ["system", "light", "dark"];
const KEYS = [
  ["Ctrl Enter", "generate"], ["Esc", "interrupt"], ["Ctrl ↑ ↓", "emphasis"], ["Alt ↑ ↓", "history"], ["← →", "pictures"],
  ["F", "full-screen"], ["?", "help"],
];

class Person extends EaselElement {
  static watches = ["session", "settings"];

  connectedCallback() {
    super.connectedCallback();
    this.endWith(store.on("settings", look));
    look(store.get("settings"));
    this.hear(window, "keydown", (event) => {
      const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
      if (event.key === "?" && !typing) this.querySelector("#help").showModal();
    });
  }

  render() {
    const person = store.get("session")?.person, { theme, sound } = store.get("settings");
    const name = person?.anonymous ? t("person.anonymous") : person?.name ?? "";
    return html`
      <button class="person" popovertarget="person-menu" aria-haspopup="menu" aria-label=${t("person.menu", { name })}>
        <span aria-hidden="true">${(name[0] ?? "·").toUpperCase()}</span></button>
      <div id="person-menu" popover class="menu" aria-label=${t("person.menu", { name })}>
        <p><b>${name}</b><br><small>${t("person.at", { endpoint: store.get("session")?.endpoint ?? "" })}</small></p>
        <fieldset><legend>${t("settings.theme")}</legend>
          <div class="segments">${THEMES.map((one) => html`<label><input class="sr" type="radio" name="theme" .checked=${one === theme}
            @change=${() => store.patch("settings", { theme: one })}>${t(`settings.theme.${one}`)}</label>`)}</div>
        </fieldset>
        <label class="field"><span>${t("settings.language")}</span>
          <select @change=${(event) => this.speak(event.target.value)}>
            ${Object.entries(LANGUAGES).map(([code, own]) => html`
              <option value=${code} ?selected=${code === language.code}>${own}</option>`)}
          </select></label>
        <label class="tick"><input type="checkbox" .checked=${sound}
          @change=${(event) => store.patch("settings", { sound: event.target.checked })}> ${t("settings.sound")}</label>
        <button class="plain" @click=${this.share}>${t("person.share")}</button>
        <button class="plain" @click=${() => this.querySelector("#help").showModal()}>${t("person.help")}</button>
        <a class="plain" href=${at("docs")} target="_blank" rel="noopener">${t("person.api")}</a>
        ${store.get("session")?.sign_out ? html`<a class="plain" href=${at(store.get("session").sign_out)}
          >${t("person.sign-out")}</a>` : nothing}
        <small class="soft">Easel ${store.get("session")?.version ?? ""}</small>
      </div>
      <dialog id="help" aria-labelledby="help-title">
        <h2 id="help-title">${t("help.title")}</h2>
        <p>${t("help.prompt")}</p>
        <dl class="keys">${KEYS.map(([keys, what]) => html`<div><dt><kbd>${keys.replace("Ctrl", t("key.ctrl"))}</kbd></dt><dd>${t(`help.${what}`)}</dd></div>`)}</dl>
        <form method="dialog"><button>${t("close")}</button></form>
      </dialog>`;
  }

  async speak(code) {
    try {
      await speak(code);
      choose(code);
    } catch {
      tell(t("error.unreachable"), { bad: true });
      this.requestUpdate();
    }
  }

  async share() {
    await navigator.clipboard?.writeText(location.href.split("#")[0]).then(
      () => tell(t("person.shared")), () => tell(location.href.split("#")[0]));
  }
}
customElements.define("easel-person", Person);

function look({ theme }) {
  document.documentElement.dataset.theme = theme;
}
