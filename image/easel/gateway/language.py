"""What the door and the console say to people, in the language that they read.

`texts/en.json` is the measure, as of the studio's page: keys of the pages, and `said.CODE` for each remark of
the gateway's. What a replica or a source of models says goes by the page's own files, where those lie beside.

language_of({"accept-language": "de-AT,en;q=0.5"}).text("waking.starting")    # "wacht auf"
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from easel.remark import Figure, Remark

LANGUAGES: Mapping[str, str] = {"en": "English", "de": "Deutsch"}
"""Languages by the names that their speakers use."""
COOKIE = "easel-language"
"""What somebody chose, in the studio's page or the console. No cookie of the door's own is called so: those
begin with `easel_`, and Caddy takes them off."""
_HERE = Path(__file__).parent
# Not an import: the gateway runs without a studio, and then says these sentences in English.
_STUDIOS = _HERE.parent / "studio" / "ui" / "web" / "texts"
_CHOSEN = re.compile(rf"(?:^|;)\s*{COOKIE}=([a-z]{{2}})\s*(?=;|$)")
_PLACE = re.compile(r"\{(\w+)\}")
_LONGEST_HEADER = 1000
_SPANS = ((86400, "day"), (3600, "hour"), (60, "minute"))


class Language:
    """One language, by its code of two letters."""

    def __init__(self, code: str) -> None:
        self.code = code
        self._texts = {**_sentences(_STUDIOS, code), **_read(_HERE / "texts", code)}

    def text(self, key: str, **values: object) -> str:
        """The words of `key`, as plain text. Where they have forms for one and many, `n` chooses."""
        form = self._known(key, values.get("n"))
        return _filled(form, lambda name: self.say(values[name]))

    def markup(self, key: str, **values: object) -> Markup:
        """The same for a page's source: a value that is Markup stays so."""
        form = self._known(key, values.get("n"))
        parts = _PLACE.split(form)
        said = (self._marked(values[one]) if place % 2 else escape(one) for place, one in enumerate(parts))
        return Markup("").join(said)

    def say(self, text: object) -> str:
        """A sentence of ours, or what stands in one. What has no code, or one that is not known here, is said
        as it came."""
        if isinstance(text, Figure):
            return self.decimal(text.number, text.digits)
        if isinstance(text, Remark):
            form = self._form(f"said.{text.code}", text.values.get("n")) if self.code != "en" else None
            if form is None or not set(_PLACE.findall(form)) <= text.values.keys():
                return str(text)
            return _filled(form, lambda name: self.say(text.values[name]))
        if isinstance(text, int) and not isinstance(text, bool):
            return self.decimal(text, 0)
        return str(text)

    def sentence(self, text: object) -> str:
        """The same with a capital letter and a full stop."""
        said = self.say(text)
        return said[:1].upper() + said[1:] + ("" if said.endswith((".", "!", "?", "…")) else ".")

    def decimal(self, number: float, digits: int) -> str:
        """A number as the language writes it."""
        marks = {",": self.text("number.group"), ".": self.text("number.point")}
        return "".join(marks.get(one, one) for one in f"{number:,.{digits}f}")

    def span(self, seconds: float) -> str:
        """A span in words short enough for a column: "5 min"."""
        for size, unit in _SPANS:
            if seconds >= size:
                return self.text(f"time.{unit}", n=int(seconds // size))
        return self.text("time.second", n=max(0, int(seconds)))

    def ago(self, seconds: float) -> str:
        """How long ago: "5 min ago"."""
        return self.text("time.ago", span=self.span(seconds))

    def _marked(self, value: object) -> str:
        return value if isinstance(value, Markup) else escape(self.say(value))

    def _known(self, key: str, n: object) -> str:
        if (form := self._form(key, n)) is None:
            raise KeyError(f"{key} is not in texts/{self.code}.json")
        return form

    def _form(self, key: str, n: object) -> str | None:
        form = self._texts.get(key)
        if isinstance(form, dict):
            number = n.number if isinstance(n, Figure) else n
            return str(form["one" if number == 1 else "other"])
        return form


@functools.cache
def language(code: str) -> Language:
    """The language of this code, English for one that is not spoken."""
    return Language(code if code in LANGUAGES else "en")


def language_of(headers: Mapping[str, str]) -> Language:
    """What a visitor reads, by the small-lettered headers of a request: what they chose, else what their
    browser prefers, else English."""
    chosen = _CHOSEN.search(headers.get("cookie", ""))
    if chosen and chosen[1] in LANGUAGES:
        return language(chosen[1])
    return language(_preferred(headers.get("accept-language", "")[:_LONGEST_HEADER]))


def _preferred(accepted: str) -> str:
    """Of `Accept-Language` (RFC 9110, 12.5.4) the first of the best that is spoken here."""
    best, found = 0.0, "en"
    for one in accepted.split(","):
        name, _, rest = one.strip().partition(";")
        code = name.strip().lower().split("-")[0]
        quality = re.fullmatch(r"\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*", rest)
        weight = float(quality[1]) if quality else 0.0 if rest.strip() else 1.0
        if code in LANGUAGES and weight > best:
            best, found = weight, code
    return found


def _read(folder: Path, code: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{code}.json").read_text("utf-8"))
    return found


def _sentences(folder: Path, code: str) -> dict[str, Any]:
    try:
        return {key: text for key, text in _read(folder, code).items() if key.startswith("said.")}
    except FileNotFoundError:
        return {}


def _filled(form: str, value: Callable[[str], str]) -> str:
    return _PLACE.sub(lambda place: value(place[1]), form)
