"""Fills in the Caddyfile: one for a laptop, an instance with ACME and a container behind a load balancer.

caddyfile(Plan(gateway="127.0.0.1:9000", sites=(Site("studio", port=7860, bind="127.0.0.1"),), …))
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import jinja2
from markupsafe import escape

from easel.gateway.errors import ConfigError
from easel.gateway.language import COOKIE, LANGUAGES, Language, language
from easel.gateway.proxy.plan import Plan

# What Go's net/http says of a request's body that it cannot read. Of an answer's it says the same, but behind
# other words, so that this must be all there is.
BROKEN = (
    r"^(readfrom (tcp|unix) [^ ]+: )?(invalid byte in chunk length|http chunk length too large"
    r"|empty hex number for chunk length|malformed chunked encoding|chunked line ends with bare LF"
    r"|invalid CR in chunked line|header line too long|chunked encoding contains too much non-data"
    r"|malformed MIME header.*|http: suspiciously long trailer after chunked body|(http: )?unexpected EOF.*"
    r"|http: ContentLength=[0-9]+ with Body length [0-9]+)$"
)
_WORD = re.compile(r"[0-9A-Za-z.:*-]+")


def caddyfile(plan: Plan) -> str:
    """The text of the Caddyfile. Raises ConfigError for a value that Caddy would take for configuration."""
    template = _TEMPLATES.get_template("Caddyfile.jinja")
    return template.render(
        plan=plan, broken=_Written(json.dumps(BROKEN)), host_asked=_Written("{host}"),
        cookie=_Written(COOKIE),
        others=[_again(language(code)) for code in LANGUAGES if code != "en"], again=_again(language("en")),
    )  # fmt: skip


def _again(speaks: Language) -> dict[str, _Written]:
    """The page of a door whose replica or gateway does not answer: Caddy has to say it alone."""
    texts = {name: _Written(escape(speaks.text(f"again.{name}"))) for name in ("title", "words")}
    code = _Written(speaks.code)
    page = _TEMPLATES.get_template("again.jinja").render(code=code, **texts)
    return {"code": code, "page": _Written(page.replace("\n", ""))}


class _Written(str):
    """Text that may stand in the file as it is."""


def _quoted(value: str | Path) -> _Written:
    """A Caddyfile token. Refuses what would end it or what Caddy would replace."""
    text = str(value)
    if any(character in text for character in '"{}\n\r`'):
        raise ConfigError(
            f"Caddy cannot take this path or address: {text!r} has a quote, a brace or a line break in it"
        )
    return _Written(f'"{text}"')


def _words(values: Iterable[str]) -> _Written:
    return _Written(" ".join(str(_checked(value)) for value in values))


def _checked(value: object) -> object:
    """Every value comes by here on its way in: only numbers and plain words go without quotes."""
    if isinstance(value, int | _Written) or (isinstance(value, str) and _WORD.fullmatch(value)):
        return value
    raise ConfigError(
        f"Caddy cannot take {str(value)!r}: a name or an address has more than letters, digits, . : * and -"
    )


_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=False,  # noqa: S701 - no HTML: `_checked` sees every value
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=_checked,
)
_TEMPLATES.filters |= {"quoted": _quoted, "seconds": lambda value: f"{float(value):.0f}", "words": _words}
