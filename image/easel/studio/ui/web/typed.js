// What is typed counts, though nobody has left its field yet.

const LATE = "input[type=text], input[type=number]";

/** Some fields take what is typed when they are left. Have the one with the focus take it now: by a key one draws, or reloads. */
export function takeTyped() {
  const typed = document.activeElement;
  if (typed?.matches(LATE)) typed.dispatchEvent(new Event("change", { bubbles: true }));
}
