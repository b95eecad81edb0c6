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


# A sentence of another process is read no deeper and no longer than any of ours is.
_CODE = re.compile(r"[a-z0-9_]{1,64}")
_DEEPEST, _MOST_VALUES, _LONGEST = 6, 16, 2000


def plain_values(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a remark as JSON has them: remarks and figures as objects, numbers as numbers."""
    return {name: _plain(one) for name, one in values.items()}


def as_json(text: str) -> dict[str, Any]:
    """A sentence for another process: `{"text", "code", "values"}` of a remark, `{"text"}` of any other."""
    if not isinstance(text, Remark):
        return {"text": str(text)}
    return {"text": str(text), "code": text.code, "values": plain_values(text.values)}


def from_json(found: object, deep: int = 0) -> str | None:
    """What `as_json` gave, from a process that may say anything: a remark, a text, or None for neither."""
    if not isinstance(found, dict) or not isinstance(text := found.get("text"), str) or deep > _DEEPEST:
        return None
    text, code, values = text[:_LONGEST], found.get("code"), found.get("values")
    if isinstance(number := found.get("number"), int | float) and not isinstance(number, bool):
        digits = found.get("digits")
        known = isinstance(digits, int) and 0 <= digits <= 9 and abs(number) < 1e15
        return Figure(text, number, int(digits or 0)) if known else text
    if not isinstance(code, str) or not _CODE.fullmatch(code) or not isinstance(values, dict):
        return text
    if len(values) > _MOST_VALUES:
        return text
    return Remark(text, code, {str(name): _read(one, deep) for name, one in values.items()})


def _plain(one: object) -> object:
    if isinstance(one, Figure):
        return {"text": str(one), "number": one.number, "digits": one.digits}
    if isinstance(one, Remark):
        return as_json(one)
    return one if isinstance(one, int | float) and not isinstance(one, bool) else str(one)


def _read(one: object, deep: int) -> object:
    if isinstance(one, int | float) and not isinstance(one, bool):
        return one
    return (from_json(one, deep + 1) if isinstance(one, dict) else str(one)[:_LONGEST]) or ""
