"""ADetailer's arguments: taken and told, for there is no file here that finds faces and hands.

Programs send them with every request. A picture without it is the same picture, with less detail in places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

NAME = "adetailer"
_NONE = ("", "none")


def told(arguments: Sequence[Any]) -> str | None:
    """A sentence where it is switched on, None where it would do nothing in A1111 either.

    Arguments are A1111's: perhaps two switches (on; only this in img2img), then a unit for each detector.
    """
    if arguments and arguments[0] is False:
        return None
    models = list(dict.fromkeys(_models(arguments)))
    if not models:
        return None
    return f"ADetailer was not followed: there is no detector file {', '.join(models)} here."


def _models(arguments: Sequence[Any]) -> Iterator[str]:
    for unit in arguments:
        if not isinstance(unit, dict) or unit.get("ad_tab_enable") is False:
            continue
        name = str(unit.get("ad_model", "")).strip()[:60]
        if name.lower() not in _NONE:
            yield name
