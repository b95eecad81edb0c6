// Brackets that open and do not close, or close what is not open: A1111 takes them as text, which is seldom meant.
const CLOSES = { ")": "(", "]": "[", "}": "{", ">": "<" };
const TAG = /<(?=[a-z]+:)/y;

/** @returns {{at: number, sign: string}[]} in order of the text; a backslash takes a bracket's meaning away */
export function unclosed(text) {
  const open = [], found = [];
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at];
    if (sign === "\\") { at += 1; continue; }
    if ("([{".includes(sign) || (sign === "<" && tagAt(text, at))) open.push({ at, sign });
    else if (sign in CLOSES) {
      const last = open.findLastIndex((one) => one.sign === CLOSES[sign]);
      if (last >= 0) found.push(...open.splice(last).slice(1));
      else if (sign !== ">") found.push({ at, sign });
    }
  }
  return [...found, ...open].sort((a, b) => a.at - b.at);
}

/** `<` opens something only before a kind and a colon: `<lora:`; `a < b` is text. */
function tagAt(text, at) {
  TAG.lastIndex = at;
  return TAG.test(text);
}
