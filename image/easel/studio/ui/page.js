// Ctrl+Enter (or Cmd+Enter) generates from anywhere on the page; Escape interrupts, as in A1111.
document.addEventListener("keydown", (event) => {
  const press = (id) => {
    const button = document.getElementById(id);
    if (button && !button.disabled) button.click();
  };
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    // A field tells its value when it loses focus; without this the last typed number would be lost.
    if (document.activeElement && document.activeElement.tagName === "INPUT") document.activeElement.blur();
    setTimeout(() => press("generate"), 50);
  } else if (event.key === "Escape" && !document.querySelector("[role=listbox]")) {
    press("interrupt");
  }
}, true);

// A 128 pixel picture on a large screen: shown large, and then its pixels are better sharp than smeared.
document.addEventListener("load", ({ target }) => {
  if (target.tagName === "IMG" && target.naturalWidth) {
    target.classList.toggle("small", target.clientWidth >= 1.8 * target.naturalWidth);
  }
}, true);

// Gradio gives a text field with a copy button no label of its own.
(function label() {
  const field = document.querySelector("#parameters textarea");
  if (field) field.ariaLabel = "Parameters of this picture";
  else setTimeout(label, 200);
})();

// Cards of LoRAs and chips of embeddings write themselves into the prompt that was typed in last; a second click
// takes them out again, as in A1111.
let typedIn = "prompt";
document.addEventListener("focusin", ({ target }) => {
  const box = target.closest("#prompt, #negative");
  if (box) typedIn = box.id;
});
document.addEventListener("click", ({ target }) => {
  const button = target.closest("#cards [data-insert]");
  if (!button) return;
  const text = button.dataset.insert;
  const lora = text.startsWith("<lora:");
  // Tags count in the prompt only.
  const field = document.querySelector(`#${lora ? "prompt" : typedIn} textarea`);
  const plain = (one) => one.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const there = lora ? `<lora:${plain(text.slice(6, -3))}(:[^<>]*)?>` : `(?<!\\w)${plain(text)}(?!\\w)`;
  const found = new RegExp(`[ ,]*${there}`, "i");
  const before = field.value;
  field.value = found.test(before)
    ? before.replace(found, "").trimStart()
    : `${before.trimEnd()}${before.trim() ? (lora ? " " : ", ") : ""}${text}`;
  button.classList.toggle("on", field.value.length > before.length);
  field.dispatchEvent(new Event("input", { bubbles: true }));
});
