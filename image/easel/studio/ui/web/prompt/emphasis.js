// Ctrl ↑ and ↓: the weight of what is selected, or of the word at the cursor, in steps of A1111's 0.1.
const WEIGHTED = /^\((.*):(-?[\d.]+)\)$/s;
const LORA = /<(?:lora|lyco):[^<>:]*:(-?[\d.]+)[^<>]*>/g;
const EDGE = /[\s,.()[\]{}<>|:]/;

/**
 * @param {string} text @param {number} from @param {number} to the selection @param {number} step
 * @returns {{text: string, start: number, end: number}} and what is selected then, so that the keys can be pressed again
 */
export function weighted(text, from, to, step) {
  const tag = [...text.matchAll(LORA)].find((one) => one.index <= from && to <= one.index + one[0].length);
  if (tag) return replaced(text, tag.index, tag.index + tag[0].length, tag[0].replace(/:(-?[\d.]+)/, () => `:${sum(tag[1], step)}`));
  let [start, end] = from === to ? word(text, from) : [from, to];
  if (start === end) return { text, start: from, end: to };
  // What is weighted already is taken with its brackets, wherever in it the cursor is.
  const open = text.lastIndexOf("(", start), close = text.indexOf(")", Math.max(start, end - 1));
  const around = open >= 0 && close > open ? text.slice(open, close + 1).match(WEIGHTED) : null;
  if (around && !around[1].includes("(") && text.indexOf(")", open) === close) {
    const weight = sum(around[2], step);
    return replaced(text, open, close + 1, weight === "1" ? around[1] : `(${around[1]}:${weight})`);
  }
  return replaced(text, start, end, `(${text.slice(start, end)}:${sum("1", step)})`);
}

function replaced(text, start, end, by) {
  return { text: text.slice(0, start) + by + text.slice(end), start, end: start + by.length };
}

/** Tenths are no binary fractions: 1.1 + 0.1 shall be 1.2. */
const sum = (weight, step) => String(Math.round((Number(weight) + step) * 100) / 100);

function word(text, at) {
  let start = at, end = at;
  while (start > 0 && !EDGE.test(text[start - 1])) start -= 1;
  while (end < text.length && !EDGE.test(text[end])) end += 1;
  return [start, end];
}
