"""ADetailer's units of an infotext, as its arguments: all that is written there of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from easel.studio.api.requests.detailer_unit import INFOTEXT_TITLES, DetailerUnit
from easel.studio.infotext import Infotext

_KEY = re.compile(r"ADetailer (?P<title>.+?)(?: (?P<number>[2-9]|1\d)(?:nd|rd|th))?")
_VERSION = "ADetailer version"
_OLDER = {"mask only top k largest": "ad_mask_k"}
_FIELDS: Mapping[str, str] = {title: field for field, title in INFOTEXT_TITLES} | _OLDER


def detailer_units(found: Infotext) -> tuple[list[dict[str, Any]], Infotext]:
    """The units that a text tells of, in order; and the text without what was read, so that the rest is told.

    A number that is none, or out of its range, is left in the text. Units without a detector are left out.
    """
    units: dict[int, dict[str, Any]] = {}
    used = set()
    for key, text in found.parameters.items():
        said = _KEY.fullmatch(key)
        field = _FIELDS.get(said["title"]) if said else None
        if said is None or field is None:
            continue
        value = _value(field, text)
        if value is not None:
            units.setdefault(int(said["number"] or 1), {})[field] = value
            used.add(key)
    in_order = [units[number] for number in sorted(units) if units[number].get("ad_model")]
    if in_order:
        used.add(_VERSION)
    left = {key: text for key, text in found.parameters.items() if key not in used or not in_order}
    return in_order, replace(found, parameters=left)


def detailer_script(units: list[dict[str, Any]]) -> dict[str, Any]:
    """The same as a part of `alwayson_scripts`; nothing of no units."""
    return {"ADetailer": {"args": units}} if units else {}


def _value(field: str, text: str) -> Any:
    """What a field of a unit is by its text, None where that is nothing of the kind."""
    try:
        unit = DetailerUnit.model_validate({field: text.strip()})
    except ValidationError:
        return None
    return unit.model_dump(mode="json")[field]
