// A picture file to read parameters from: it goes to the API as any client's, and what it says into a field of the
// page. So the page itself takes no file from anybody.
class EaselRead extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    const input = Object.assign(document.createElement("input"), { type: "file", accept: "image/png,image/jpeg,image/webp" });
    this.words = document.createElement("small");
    this.words.setAttribute("role", "status");
    const zone = document.createElement("label");
    zone.append("Drop a PNG, JPEG or WebP here, or click to choose.", input);
    this.replaceChildren(zone, this.words);
    input.addEventListener("change", () => { this.take(input.files[0]); input.value = ""; });
    zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      this.take(event.dataTransfer.files[0]);
    });
  }

  async take(file) {
    if (!file) return;
    this.words.textContent = "reads …";
    try {
      const info = await this.info(file);
      this.words.textContent = info ? "" : `${file.name} holds no generation parameters.`;
      if (!info) return;
      const field = document.querySelector("#said textarea");
      field.value = info;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    } catch (error) {
      this.words.textContent = `${file.name}: ${error.message}`;
    }
  }

  async info(file) {
    const image = await new Promise((done, failed) => {
      const reader = Object.assign(new FileReader(), { onload: () => done(reader.result), onerror: () => failed(reader.error) });
      reader.readAsDataURL(file);
    });
    const answer = await fetch(new URL("sdapi/v1/png-info", document.baseURI), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ image }),
    });
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(said.detail || said.errors || `the studio answers ${answer.status}`);
    return said.info;
  }
}
customElements.define("easel-read", EaselRead);
