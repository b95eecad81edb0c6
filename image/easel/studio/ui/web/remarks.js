// The server's sentences in the page's language: by their code, and the values that stand in them.
import { t } from "./texts.js";

/**
 * A sentence of the server's. One without a code, or with one that this page does not know, is shown as it came.
 * @param {{text?: string, words?: string, code?: string|null, values?: object}|string} remark
 */
export function wordsOf(remark) {
  if (typeof remark !== "object" || remark === null) return remark;
  const key = `said.${remark.code}`, values = Object.entries(remark.values ?? {}).map(([name, one]) => [name, wordsOf(one)]);
  const words = t(key, Object.fromEntries(values));
  return words === key ? remark.text ?? remark.words : words;
}
