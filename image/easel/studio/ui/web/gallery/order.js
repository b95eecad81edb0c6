// The order of pictures: by day, and by number in it; names are `2026-11-29/00012-123.png`.

/** Below zero if `a` comes before `b`, the newest first. */
export function newestFirst(a, b) {
  const [dayOfA, nameOfA] = a.split("/"), [dayOfB, nameOfB] = b.split("/");
  if (dayOfA !== dayOfB) return dayOfA < dayOfB ? 1 : -1;
  return parseInt(nameOfB, 10) - parseInt(nameOfA, 10) || (nameOfA < nameOfB ? 1 : nameOfA > nameOfB ? -1 : 0);
}
