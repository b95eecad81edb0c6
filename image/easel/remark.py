"""Sentences for people that say which sentence they are, so that a page can say the same in another language.

A remark is a text as any other: whoever knows nothing of codes reads English, as A1111's clients do.
"""

from __future__ import annotations

import re
from typing import Any, Self

_DECIMAL = re.compile(r"-?[\d,]+(?:\.(\d+))?")


class Remark(str):
    """A sentence, or a part of one. `code` names it for ever, `values` fill its places; `about` is the field
    of a request that it is about, as A1111 spells it."""

    code: str
    values: dict[str, Any]
    about: str | None

    def __new__(cls, text: str, code: str, values: dict[str, Any], about: str | None = None) -> Self:
        """The text is what the places of a template were filled with; `remark` does that."""
        found = super().__new__(cls, text)
        found.code, found.values, found.about = code, values, about
        return found

    def __getnewargs__(self) -> tuple[str, str, dict[str, Any], str | None]:  # type: ignore[override]
        """A remark that is copied says the same."""
        return str(self), self.code, self.values, self.about


def remark(code: str, template: str, /, about: str | None = None, **values: object) -> Remark:
    """`template` with `values` in its places; the page's texts/*.json have it as `said.CODE`. An error among
    the values says what it says itself."""
    said = {name: said_by(one) if isinstance(one, BaseException) else one for name, one in values.items()}
    return Remark(template.format(**said), code, said, about)


class Figure(str):
    """A number as English writes it, "1,024" or "19.1", that a page writes as its own language does: with
    `digits` of `number` behind the point."""

    number: float
    digits: int

    def __new__(cls, text: str, number: float, digits: int) -> Self:
        """`figure` does that."""
        found = super().__new__(cls, text)
        found.number, found.digits = number, digits
        return found

    def __getnewargs__(self) -> tuple[str, float, int]:  # type: ignore[override]
        """A figure that is copied is the same number."""
        return str(self), self.number, self.digits


def figure(number: float, form: str = ",") -> str:
    """`number` in the form of a format specification, to stand in a remark. What that makes no plain decimal
    of, as of 1e+30, stays the text that it is."""
    text = format(number, form)
    plain = _DECIMAL.fullmatch(text)
    return Figure(text, number, len(plain[1] or "")) if plain else text


def said_by(error: BaseException) -> str:
    """What an error says: a Remark, where it was given one."""
    return error.args[0] if error.args and isinstance(error.args[0], Remark) else str(error)
