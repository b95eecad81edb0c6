// One tooltip for all: whatever has `data-tip` says it on hover and on focus; Escape hides it.
const SHOWN_AFTER = 400;
const tip = Object.assign(document.createElement("div"), { id: "tip", role: "tooltip", popover: "manual" });
// A finger that focuses a field brings up a keyboard, and there is no room for more.
const touched = matchMedia("(hover: none)");
let timer = 0, about = null;

function show(target) {
  about = target;
  tip.textContent = target.dataset.tip;
  // Within a landmark, as everything that is read out.
  if (!tip.isConnected) (document.querySelector("main") ?? document.body).append(tip);
  tip.showPopover();
  const there = target.getBoundingClientRect(), size = tip.getBoundingClientRect();
  const left = Math.min(Math.max(8, there.left + there.width / 2 - size.width / 2), innerWidth - size.width - 8);
  const below = there.bottom + 6 + size.height < innerHeight;
  tip.style.setProperty("left", `${left}px`);
  tip.style.setProperty("top", `${below ? there.bottom + 6 : Math.max(4, there.top - size.height - 6)}px`);
  target.setAttribute("aria-describedby", "tip");
}

function hide() {
  clearTimeout(timer);
  about?.removeAttribute("aria-describedby");
  about = null;
  if (tip.isConnected && tip.matches(":popover-open")) tip.hidePopover();
}

function later(event, pause) {
  const target = event.target.closest?.("[data-tip]");
  if (target === about) return;
  hide();
  if (target?.dataset.tip) timer = setTimeout(() => target.isConnected && show(target), pause);
}

document.addEventListener("pointerover", (event) => event.pointerType === "mouse" && later(event, SHOWN_AFTER));
document.addEventListener("focusin", (event) => event.target.matches?.(":focus-visible") && !touched.matches && later(event, SHOWN_AFTER));
document.addEventListener("focusout", hide);
document.addEventListener("pointerdown", hide);
// Who types knows the field, and needs to see what stands under it.
document.addEventListener("input", hide);
document.addEventListener("scroll", hide, true);
document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
