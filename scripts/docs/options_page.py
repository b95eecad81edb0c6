"""docs/reference/options.md: what becomes of each of A1111's options, from the table that decides it."""

from __future__ import annotations

import json
from typing import Any

from easel.studio.api.requests.options_kept import KEPT
from easel.studio.api.requests.options_table import OPTIONS, Option, Rule

_HEAD = """# A1111's options

Written by `easel schema` from `easel/studio/api/requests/options_table.py`, which decides.

`GET /sdapi/v1/options` answers all {count} names that A1111 1.10.1 has with the extensions that come with
it, and Forge's `forge_additional_modules`; values that nobody set are those below. One rule counts for
`POST /sdapi/v1/options`, for
`override_settings` and for what an infotext says. Options are the caller's own, and nobody else's. Nothing
is accepted and dropped:

| rule | what becomes of a value |
|---|---|
| honoured | It is followed. |
| kept | It changes nothing here. POST stores it for the caller, and GET gives it back. |
| told | It is taken and not followed, and the answer says so. GET answers what is done here. |
| refused | Another picture, or another answer, than Easel gives was asked for: 422 with the reason. |

Of a refused option the value in its table is taken, and A1111's own default, where it is another one, is
told. Names that are not here (of extensions) are stored by POST and given back; in `override_settings` they
are told. An infotext stops no request: what it says and is refused is told. `info` of a drawn picture tells
in `comments`; POST in the header `X-Easel-Notes`, a JSON list, for its body is A1111's `null`.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD.format(count=len(OPTIONS) - 1)]
    for rule in (Rule.HONOURED, Rule.TOLD, Rule.REFUSED):
        rows = [_row(option) for option in OPTIONS.values() if option.rule is rule]
        title = f"## {rule.value.capitalize()}"
        parts.append(
            "\n".join([title, "", "| option | value | A1111's default | |", "|---|---|---|---|", *rows])
            + "\n"
        )
    parts.append("## Kept\n")
    for about, defaults in KEPT.items():
        names = ", ".join(f"`{name}` {_value(value)}" for name, value in defaults.items())
        parts.append(f"**{about[:1].upper()}{about[1:]}.** {names}\n")
    return "\n".join(parts)


def _row(option: Option) -> str:
    default = "the same" if option.value == option.default else _value(option.default)
    return (
        f"| `{option.name}` | {_value(option.value)} | {default} | {option.why.replace('|', chr(92) + '|')} |"
    )


def _value(value: Any) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`"
