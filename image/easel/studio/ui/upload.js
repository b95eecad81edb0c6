// The Upload tab: sends dropped models by tus (https://tus.io), piece by piece, and goes on after a cut, a closed
// tab or a sleeping endpoint. Names of files are set as text, never as HTML.
class EaselUpload extends HTMLElement {
  static TUS = { "Tus-Resumable": "1.0.0" };
  static PIECE = 8 * 1024 * 1024;

  connectedCallback() {
    if (this.firstChild) return;
    const input = Object.assign(document.createElement("input"), { type: "file", multiple: true, accept: ".safetensors" });
    this.zone = document.createElement("label");
    this.zone.append(
      "Drop models (.safetensors) here, or click to choose. Each goes to the folder of its kind and is checked before it can be chosen.",
      input);
    this.list = document.createElement("ul");
    this.list.setAttribute("aria-live", "polite");
    this.replaceChildren(this.zone, this.list);
    input.addEventListener("change", () => { this.take(input.files); input.value = ""; });
    this.zone.addEventListener("dragover", (event) => { event.preventDefault(); this.zone.classList.add("over"); });
    this.zone.addEventListener("dragleave", () => this.zone.classList.remove("over"));
    this.zone.addEventListener("drop", (event) => {
      event.preventDefault();
      this.zone.classList.remove("over");
      this.take(event.dataTransfer.files);
    });
  }

  // One after the other: together none would be quicker, and the first can be chosen sooner.
  async take(files) {
    for (const file of [...files]) {
      const row = this.row(file.name);
      this.queue = (this.queue || Promise.resolve()).then(() => this.send(file, row).catch((error) => row.refuse(error.message)));
    }
  }

  row(name) {
    const item = document.createElement("li");
    const bar = Object.assign(document.createElement("progress"), { max: 1, value: 0 });
    const words = document.createElement("small");
    item.append(Object.assign(document.createElement("div"), { textContent: name }), bar, words);
    this.list.prepend(item);
    words.textContent = "waits";
    return {
      say: (part, text) => { bar.value = part; words.textContent = text; },
      done: (text) => { bar.remove(); words.textContent = text; },
      refuse: (text) => { bar.remove(); words.textContent = text; words.className = "refused"; },
    };
  }

  async send(file, row) {
    // The file as it is now: another state of it is another upload.
    const note = `easel-upload:${file.name}:${file.size}:${file.lastModified}`;
    let url = localStorage.getItem(note);
    let offset = url ? await this.stands(url, row) : null;
    if (offset === null) {
      url = await this.begin(file, row);
      localStorage.setItem(note, url);
      offset = 0;
    }
    let piece = EaselUpload.PIECE;
    const began = performance.now(), from = offset;
    while (offset < file.size) {
      const block = file.slice(offset, offset + piece);
      const answer = await this.ask("PATCH", url, row, {
        "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(offset), ...(await this.checksum(block)),
      }, block, [204, 400, 404, 408, 409, 410, 413, 422, 460]);
      // A door that takes less at once says 413, or cuts the line so early that only a bare 400 arrives.
      if (answer.status === 413 || answer.status === 400) {
        if (piece <= 65536) throw new Error(await this.words(answer));
        piece = Math.max(65536, piece / 2);
      } else if ([404, 410, 422].includes(answer.status)) {
        localStorage.removeItem(note);
        throw new Error(await this.words(answer));
      } else if (answer.status === 409 && !answer.headers.get("Upload-Offset")) {
        localStorage.removeItem(note);
        throw new Error(await this.words(answer));
      }
      offset = answer.status === 204 || answer.status === 409
        ? Number(answer.headers.get("Upload-Offset")) : await this.stands(url, row);
      if (offset === null) { localStorage.removeItem(note); throw new Error("the upload is no more; drop the file again"); }
      const speed = (offset - from) / Math.max(1, performance.now() - began) / 1000;
      row.say(offset / file.size, `${Math.floor(100 * offset / file.size)} %, ${speed.toFixed(1)} MB/s`);
    }
    row.say(1, "is being checked");
    await this.stands(url, row);
    const told = await (await this.ask("GET", url, row)).json();
    localStorage.removeItem(note);
    if (told.state !== "done") throw new Error(told.detail || "it was refused");
    row.done(`${told.path} is in (SHA-256 ${told.sha256.slice(0, 10)}…); Reload beside the checkpoint shows it`);
  }

  async begin(file, row) {
    const name = btoa(String.fromCharCode(...new TextEncoder().encode(file.name)));
    const answer = await this.ask("POST", "/files/uploads", row,
      { "Upload-Length": String(file.size), "Upload-Metadata": `filename ${name}` });
    return new URL(answer.headers.get("Location"), location.href).pathname;
  }

  // How far the server has it; null for an upload that is no more.
  async stands(url, row) {
    const answer = await this.ask("HEAD", url, row, {}, undefined, [200, 404, 409, 410, 422]);
    return answer.status === 200 ? Number(answer.headers.get("Upload-Offset")) : null;
  }

  // Only where the browser lets a page compute one: by https, or on this machine.
  async checksum(block) {
    if (!window.crypto?.subtle) return {};
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await block.arrayBuffer()));
    return { "Upload-Checksum": `sha256 ${btoa(String.fromCharCode(...digest))}` };
  }

  // Asks again while nobody answers: the line is cut, or the endpoint wakes.
  async ask(method, url, row, headers = {}, body = undefined, expected = []) {
    for (let pause = 1000, left = 200; ; left -= 1, pause = Math.min(pause * 1.5, 10000)) {
      let answer = null;
      try {
        answer = await fetch(url, { method, headers: { ...EaselUpload.TUS, ...headers }, body, cache: "no-store" });
      } catch (error) {
        if (!left) throw new Error("no answer; drop the file again to go on");
      }
      if (answer && (answer.ok || expected.includes(answer.status))) return answer;
      if (answer && (!left || !([423, 429, 502, 503, 504].includes(answer.status) || (method === "HEAD" && answer.status === 400)))) throw new Error(await this.words(answer));
      row.say(0, answer ? await this.words(answer) : "no connection; trying again");
      await new Promise((done) => setTimeout(done, pause));
      if (method === "PATCH") {
        // Where it stands now, the server knows; the caller asks.
        return new Response(null, { status: 408 });
      }
    }
  }

  async words(answer) {
    try { return (await answer.json()).detail || `refused (${answer.status})`; } catch { return `refused (${answer.status})`; }
  }
}
customElements.get("easel-upload") || customElements.define("easel-upload", EaselUpload);
