"""Words of strangers as plain text: what Civitai's people write is shown, and never becomes markup."""

from __future__ import annotations

import re
from html import unescape

# Controls, and letters that turn the direction of what stands around them.
_BAD = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_BREAKS = {"p", "br", "li", "div", "h1", "h2", "h3", "tr", "ul", "ol"}
_SILENT = {"script", "style"}
# Text, or a tag, a comment, a declaration; a bracket that begins none is text. Python's own reader takes the
# square of a text that somebody made so (forty seconds for 40,000 letters), and stops at others. Tags have no
# bracket in them, and end.
_PIECES = re.compile(
    r"([^<]++|<(?![/!?A-Za-z]))|<(?:!--(?:(?!-->).){0,4000}+(?:-->)?|(/?)([A-Za-z][A-Za-z0-9]{0,20}+)?[^<>]{0,4000}+>?)",
    re.DOTALL,
)


def line(value: object, most: int = 200) -> str:
    """`value` as one line of at most `most` letters; "" for what is no text or number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return " ".join(_whole(_BAD.sub("", str(value))[: most * 4]).split())[:most]


def prose(html: object, most: int = 4000) -> str:
    """The text of some HTML, with its line breaks, without its tags."""
    if not isinstance(html, str):
        return ""
    found = _read(html[: most * 10])
    text = _BAD.sub("", _whole(found))
    lines = (" ".join(each.split()) for each in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()[:most]


def _whole(text: str) -> str:
    # Halves of surrogate pairs, which JSON can hold and UTF-8 cannot.
    return text.encode("utf-8", "replace").decode()


def _read(html: str) -> str:
    found: list[str] = []
    silent = ""
    for text, closing, name in _PIECES.findall(html):
        tag = name.lower()
        if silent:
            silent = "" if closing and tag == silent else silent
        elif text:
            found.append(unescape(text))
        elif tag in _SILENT and not closing:
            silent = tag
        elif tag in _BREAKS and not closing:
            found.append("\n")
    return "".join(found)
