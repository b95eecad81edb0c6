// Where each picture lies: days under headings, rows of squares. Plain numbers, so that ten thousand cost nothing.

export const GAP = 6, HEAD = 46, FOOT = 18;
const PHONE = 560;

/**
 * @param {{id: string, day: string}[]} pictures the newest first
 * @param {number} width pixels
 */
export function layOut(pictures, width) {
  const least = width < PHONE ? 104 : 168;
  const columns = Math.max(2, Math.floor((width + GAP) / (least + GAP)));
  const side = Math.floor((width - GAP * (columns - 1)) / columns);
  const row = side + GAP;
  const days = [];
  let top = 0;
  for (let from = 0; from < pictures.length;) {
    const { day } = pictures[from];
    let to = from + 1;
    while (to < pictures.length && pictures[to].day === day) to += 1;
    const height = HEAD + Math.ceil((to - from) / columns) * row - GAP + FOOT;
    days.push({ day, from, to, top, height });
    top += height;
    from = to;
  }
  return { columns, side, row, days, height: top, count: pictures.length };
}

/** The day that a picture of this place in the list is of. */
export const dayOf = ({ days }, index) => days.find((one) => index < one.to) ?? null;

/** Where it lies in its day, in pixels. */
export function spot({ columns, row }, day, index) {
  const place = index - day.from;
  return { x: (place % columns) * row, y: HEAD + Math.floor(place / columns) * row };
}

/** The pictures of a day that lie between two heights of it, as places in the list. */
export function between({ columns, row }, day, top, bottom) {
  const first = Math.max(0, Math.floor((top - HEAD) / row)), last = Math.max(0, Math.ceil((bottom - HEAD) / row));
  return [Math.min(day.to, day.from + first * columns), Math.min(day.to, day.from + last * columns)];
}

/** The place that an arrow key leads to from `index`. */
export function step(layout, index, key) {
  const { columns, days, count } = layout;
  const day = dayOf(layout, index);
  if (!day) return index;
  const column = (index - day.from) % columns, at = days.indexOf(day);
  switch (key) {
    case "ArrowLeft": return Math.max(0, index - 1);
    case "ArrowRight": return Math.min(count - 1, index + 1);
    case "Home": return 0;
    case "End": return count - 1;
    case "ArrowDown": {
      if (index + columns < day.to) return index + columns;
      const lastRow = Math.floor((day.to - 1 - day.from) / columns);
      if (Math.floor((index - day.from) / columns) < lastRow) return day.to - 1;
      const next = days[at + 1];
      return next ? Math.min(next.from + column, next.to - 1) : index;
    }
    case "ArrowUp": {
      if (index - columns >= day.from) return index - columns;
      const before = days[at - 1];
      if (!before) return index;
      const lastRow = Math.floor((before.to - 1 - before.from) / columns) * columns;
      return Math.min(before.from + lastRow + column, before.to - 1);
    }
    default: return index;
  }
}
