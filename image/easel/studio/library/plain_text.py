"""Words of strangers as plain text: what Civitai's people write is shown, and never becomes markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

# Controls, and letters that turn the direction of what stands around them.
_BAD = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_BREAKS = {"p", "br", "li", "div", "h1", "h2", "h3", "tr", "ul", "ol"}
_SILENT = {"script", "style"}


def line(value: object, most: int = 200) -> str:
    """`value` as one line of at most `most` letters; "" for what is no text or number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return " ".join(_whole(_BAD.sub("", str(value))[: most * 4]).split())[:most]


def prose(html: object, most: int = 4000) -> str:
    """The text of some HTML, with its line breaks, without its tags."""
    if not isinstance(html, str):
        return ""
    reader = _Text()
    reader.feed(html[: most * 10])
    reader.close()
    text = _BAD.sub("", _whole("".join(reader.found)))
    lines = (" ".join(each.split()) for each in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()[:most]


def _whole(text: str) -> str:
    # Halves of surrogate pairs, which JSON can hold and UTF-8 cannot.
    return text.encode("utf-8", "replace").decode()


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in _SILENT
        if tag in _BREAKS:
            self.found.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._silent = max(0, self._silent - (tag in _SILENT))

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data)
