// The Civitai tab: speaks to /studio/models. What strangers wrote is set as text, never as HTML.
class EaselModels extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) { this.look(); return; }
    this.card = null;
    this.states = new Map();
    this.replaceChildren(...this.skeleton());
    this.look();
  }

  disconnectedCallback() { clearTimeout(this.timer); }

  // ---- pieces -------------------------------------------------------------------------------------------
  make(tag, attributes = {}, ...inside) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value != null) made.setAttribute(name, value);
    }
    made.append(...inside.flat().filter((one) => one != null && one !== ""));
    return made;
  }

  field(words, input) { return this.make("label", {}, this.make("span", {}, words), input); }

  link(href, words) {
    return /^https?:\/\//.test(href)
      ? this.make("a", { href, target: "_blank", rel: "noopener noreferrer" }, words) : words;
  }

  skeleton() {
    const m = this.make.bind(this);
    this.url = m("input", {
      id: "civitai-url", type: "text", autocomplete: "off", spellcheck: "false",
      placeholder: "https://civitai.com/models/… (or hf://org/repo/file, https://…)",
    });
    this.ask = m("button", { id: "civitai-info", class: "main" }, "1. Get model info");
    this.trouble = m("p", { id: "civitai-trouble", role: "alert", hidden: true });
    this.found = m("section", { id: "civitai-card", hidden: true });
    this.mature = m("input", { id: "civitai-mature", type: "checkbox", onchange: () => this.draw() });
    this.jobs = m("ul", { id: "civitai-jobs", "aria-live": "off" });
    this.news = m("section", { id: "civitai-news", "aria-live": "polite" });
    this.there = m("ul", { id: "civitai-downloaded" });
    const work = (id, path, words) => m("button", { id, onclick: () => this.start(path) }, words);
    return [
      m("form", { class: "line", onsubmit: (event) => { event.preventDefault(); this.info(); } },
        this.field("Address of a model", this.url), this.ask),
      m("label", { class: "tick" }, this.mature, "Show mature previews"),
      this.trouble, this.found, this.jobs, this.news,
      m("div", { class: "line" }, m("h3", {}, "Downloaded"),
        work("civitai-scan", "scan", "Scan folders"), work("civitai-updates", "updates", "New versions?"),
        m("button", { id: "civitai-refresh", onclick: () => this.list() }, "Refresh")),
      this.there,
    ];
  }

  // ---- asking -------------------------------------------------------------------------------------------
  async call(method, path, body) {
    let answer;
    try {
      answer = await fetch(`studio/models/${path}`, {
        method, headers: body ? { "Content-Type": "application/json" } : {},
        body: body ? JSON.stringify(body) : undefined,
      });
    } catch { throw new Error("the studio does not answer; check the network, or load the page again"); }
    const found = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(found.errors || found.detail || `the studio answers ${answer.status}`);
    return found;
  }

  async tried(work) {
    this.trouble.hidden = true;
    try { return await work(); } catch (error) {
      this.trouble.textContent = error.message;
      this.trouble.hidden = false;
      return null;
    }
  }

  async info(address) {
    if (address) this.url.value = address;
    this.ask.disabled = true;
    this.ask.textContent = "Asking…";
    const card = await this.tried(() => this.call("POST", "info", { url: this.url.value }));
    this.ask.disabled = false;
    this.ask.textContent = "1. Get model info";
    this.card = card;
    this.draw();
    if (card) { await this.folders(); this.found.scrollIntoView({ block: "nearest" }); }
  }

  async folders() {
    const found = await this.tried(() => this.call("GET", `folders?type=${this.kind.value || "checkpoint"}`));
    const names = found ? found.folders : ["/"];
    this.folder.replaceChildren(
      ...names.map((name) => this.make("option", { value: name }, name)),
      this.make("option", { value: "\n" }, "New folder…"));
    this.fresh.hidden = true;
  }

  async start(path, body) {
    if (await this.tried(() => this.call("POST", path, body))) await this.look();
  }

  // ---- the card -----------------------------------------------------------------------------------------
  draw() {
    this.found.hidden = !this.card;
    if (!this.card) { this.found.replaceChildren(); return; }
    const { card } = this, m = this.make.bind(this);
    const before = this.version && this.version.value;
    this.version = m("select", { id: "civitai-version", onchange: () => this.drawVersion() },
      card.versions.map((one) => m("option", { value: one.id },
        [one.name, one.base_model, one.early_access ? "early access" : ""].filter(Boolean).join(" · "))));
    const wanted = card.versions.some((one) => String(one.id) === before) ? before : card.version;
    if (card.versions.length) this.version.value = wanted;
    this.file = m("select", { id: "civitai-file", onchange: () => this.drawFile() });
    this.kind = m("select", { id: "civitai-type", onchange: () => this.folders() },
      m("option", { value: "" }, "as the file says"),
      ["checkpoint", "lora", "vae", "embedding", "upscaler", "controlnet", "hypernetwork", "text_encoder"]
        .map((word) => m("option", { value: word }, word.replace("_", " "))));
    this.kind.value = card.kind || "";
    const folders = this.folder ? [...this.folder.children] : [m("option", { value: "/" }, "/")];
    const chosen = this.folder ? this.folder.value : "/";
    this.folder = m("select", { id: "civitai-folder",
      onchange: () => { this.fresh.hidden = this.folder.value !== "\n"; } }, folders);
    this.folder.value = chosen;
    this.fresh = m("input", { id: "civitai-new-folder", type: "text", placeholder: "name/of/folder",
      hidden: true, "aria-label": "New folder" });
    this.get = m("button", { id: "civitai-download", class: "main", onclick: () => this.download() },
      "3. Download");
    this.about = m("div", { class: "about" });
    this.pictures = m("div", { class: "pictures" });
    this.said = m("p", { class: "said" });
    const mark = { true: "yes", false: "no", null: "not said" };
    this.found.replaceChildren(
      this.pictures,
      m("div", { class: "text" },
        m("h3", {}, this.link(card.page, card.name)),
        m("p", {}, [card.type, card.mature ? "mature" : "", card.creator ? `by ${card.creator}` : ""]
          .filter(Boolean).join(" · ")),
        this.about,
        card.licence.length ? m("details", { id: "civitai-licence" },
          m("summary", {}, "What its creator allows"),
          m("ul", {}, card.licence.map((one) => m("li", { class: `is-${one.allowed}` },
            `${one.what}: ${mark[one.allowed]}`)))) : null,
        card.description ? m("details", {}, m("summary", {}, "Description"),
          m("p", { class: "prose" }, card.description)) : null),
      m("div", { class: "choose" },
        card.versions.length ? this.field("2. Version", this.version) : null,
        card.versions.length ? this.field("File", this.file) : null,
        this.field("Type", this.kind), this.field("Folder", this.folder), this.fresh, this.said, this.get));
    this.drawVersion();
  }

  drawVersion() {
    const { card } = this, m = this.make.bind(this);
    const one = card.versions.find((each) => String(each.id) === this.version.value);
    this.about.replaceChildren();
    this.pictures.replaceChildren();
    this.file.replaceChildren();
    if (one) {
      this.about.append(
        m("p", { class: "facts" }, [one.base_model, one.published].filter(Boolean).join(" · ")),
        one.trained_words.length ? m("p", { class: "words" }, "Trained words: ", this.words(one)) : "",
        one.early_access ? m("p", {}, "Early access: only those who paid get it yet.") : "");
      const shown = this.mature.checked;
      this.pictures.append(...one.pictures.slice(0, 2).map((each) => m("img", {
        src: `studio/models/previews/${each.key}?mature=${shown}`, loading: "lazy",
        alt: each.mature && !shown ? "mature preview, blurred" : "preview",
        class: each.mature && !shown ? "blurred" : "",
        onerror: (event) => event.target.remove() })));
      const best = one.files.findIndex((each) => each.primary && !each.problem);
      this.file.append(...one.files.map((each, place) => m("option", { value: place, disabled: !!each.problem },
        [each.name, each.size ? this.size(each.size) : "", each.format, each.pruned, each.precision,
          each.problem || (each.scan === "clean" ? "scanned" : `scan ${each.scan}`)]
          .filter(Boolean).join(" · "))));
      this.file.value = best >= 0 ? best : one.files.findIndex((each) => !each.problem);
    }
    this.drawFile();
  }

  drawFile() {
    const one = this.card.versions.find((each) => String(each.id) === this.version.value);
    const file = one && one.files[Number(this.file.value)];
    const usable = !this.card.versions.length || (file && this.file.value !== "" && !file.problem);
    this.get.disabled = !usable;
    this.said.textContent = usable ? ""
      : one && one.files.length ? `Nothing here can be downloaded: ${one.files[0].problem}` : "No files.";
  }

  async download() {
    const one = this.card.versions.find((each) => String(each.id) === this.version.value);
    const file = one && one.files[Number(this.file.value)];
    const folder = this.folder.value === "\n" ? this.fresh.value.trim() : this.folder.value;
    const type = this.kind.value && this.kind.value !== this.kindOf(file) ? this.kind.value : null;
    await this.start("downloads", {
      url: file ? file.address : this.card.source === "civitai" ? this.card.address : this.url.value,
      folder: folder || "/", type,
    });
  }

  // A VAE of a checkpoint goes where VAEs go, unless somebody chose otherwise.
  kindOf(file) { return this.card.kind && !(file && file.type === "VAE" && this.kind.value === "vae") ? this.card.kind : ""; }

  words(one) {
    return one.trained_words.map((word) => this.make("button", { class: "word", title: "Copy",
      onclick: () => navigator.clipboard && navigator.clipboard.writeText(word) }, word));
  }

  size(bytes) {
    for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
      if (bytes >= size) return `${(bytes / size).toFixed(1)} ${unit}`;
    }
    return `${bytes} bytes`;
  }

  // ---- jobs and files -----------------------------------------------------------------------------------
  async look() {
    clearTimeout(this.timer);
    let jobs;
    try { jobs = await this.call("GET", "jobs"); } catch (error) {
      this.trouble.textContent = error.message;
      this.trouble.hidden = false;
      if (this.going) this.timer = setTimeout(() => this.look(), 5000);
      else await this.list();
      return;
    }
    const final = ["done", "failed", "cancelled"];
    const ended = jobs.filter((one) => final.includes(one.state));
    const fresh = ended.some((one) => this.states.get(one.id) !== one.state);
    this.states = new Map(jobs.map((one) => [one.id, one.state]));
    this.showJobs(jobs.slice(0, 8));
    if (fresh || !this.listed) await this.list();
    this.going = ended.length < jobs.length;
    if (this.going && this.isConnected) this.timer = setTimeout(() => this.look(), 1000);
  }

  showJobs(jobs) {
    const m = this.make.bind(this);
    const focus = document.activeElement && document.activeElement.id;
    this.jobs.replaceChildren(...jobs.map((one) => {
      const going = ["queued", "running"].includes(one.state);
      const part = one.total ? Math.min(100, (100 * one.done) / one.total) : 0;
      const bar = m("i", {});
      bar.style.width = `${part}%`;
      return m("li", { class: one.state, "data-job": one.id },
        m("div", {}, m("b", {}, one.result && one.result.file ? one.result.file.name : one.title),
          going && one.mine ? m("button", { id: `cancel-${one.id}`, class: "cancel",
            onclick: () => this.tried(() => this.call("DELETE", `jobs/${one.id}`)).then(() => this.look()) },
          "Cancel") : null),
        going ? m("span", { class: "bar", role: "progressbar", "aria-label": one.title,
          "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(part) }, bar) : null,
        m("p", {}, this.told(one)));
    }));
    if (focus && focus.startsWith("cancel-")) document.getElementById(focus)?.focus();
    this.showNews(jobs.find((one) => one.kind === "updates" && one.state === "done"));
  }

  told(one) {
    if (one.kind === "download" && one.state === "done") {
      return one.result.fetched ? "downloaded; press Reload above to choose it" : "it is there already";
    }
    return one.words;
  }

  showNews(job) {
    const m = this.make.bind(this);
    const newer = job ? job.result.newer : [];
    this.news.replaceChildren(newer.length ? m("h3", {}, "Newer versions") : "", m("ul", {}, newer.map((one) =>
      m("li", {}, `${one.model || one.name}: ${one.version} (${one.base_model}) for ${one.name} `,
        m("button", { onclick: () => this.info(one.address) }, "Look at it")))));
  }

  async list() {
    const m = this.make.bind(this);
    const files = await this.call("GET", "files").catch(() => null);
    if (!files) return;
    this.listed = true;
    this.there.replaceChildren(...files.slice(0, 200).map((one) => m("li", { "data-name": one.name },
      one.preview ? m("img", { loading: "lazy", alt: "",
        src: `studio/models/files/preview?type=${one.kind}&name=${encodeURIComponent(one.name)}`,
        onerror: (event) => event.target.remove() }) : m("span", { class: "none" }),
      m("div", {}, m("b", {}, one.name),
        m("p", {}, [one.kind.replace("_", " "), this.size(one.size), one.base_model].filter(Boolean).join(" · ")),
        one.model ? m("p", {}, this.link(one.page, [one.model, one.version].filter(Boolean).join(" · "))) : null,
        one.problem ? m("p", { class: "bad" }, one.problem) : null,
        one.trained_words.length ? m("p", { class: "words" }, this.words(one)) : null))));
  }
}
customElements.define("easel-models", EaselModels);
