// The server's sentences in the page's language: by their code, and the values that stand in them.
import { decimal, t } from "./texts.js";

/**
 * A sentence of the server's. One without a code, or with one that this page does not know, is shown as it came.
 * A figure is written as the language writes numbers.
 * @param {{text?: string, words?: string, code?: string|null, values?: object, number?: number, digits?: number}|string} remark
 */
export function wordsOf(remark) {
  if (typeof remark !== "object" || remark === null) return remark;
  if ("number" in remark) return decimal(remark.number, remark.digits);
  const key = `said.${remark.code}`, values = Object.entries(remark.values ?? {}).map(([name, one]) => [name, wordsOf(one)]);
  const words = t(key, Object.fromEntries(values));
  return words === key ? remark.text ?? remark.words : words;
}
