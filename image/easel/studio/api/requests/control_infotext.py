"""ControlNet's units of an infotext, filled into those of a request: their pictures are in no text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from easel.studio.api.requests.control_units import is_title
from easel.studio.infotext import Infotext

_KEY = re.compile(r"ControlNet (\d)")
# Its releases before 2024 wrote words in small letters, and numbers together in brackets.
_PAIR = re.compile(r"([A-Za-z][A-Za-z /]*): (\([^)]*\)|[^,]*)(?:, |$)")


def _yes(text: str) -> bool:
    return text.strip().lower() == "true"


def _weights(text: str) -> list[float]:
    return [float(one) for one in text.strip("()").split(",")]


_FIELDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "module": ("module", str), "preprocessor": ("module", str), "model": ("model", str),
    "weight": ("weight", float), "resize mode": ("resize_mode", str), "processor res": ("processor_res", int),
    "threshold a": ("threshold_a", float), "threshold b": ("threshold_b", float),
    "guidance start": ("guidance_start", float), "guidance end": ("guidance_end", float),
    "pixel perfect": ("pixel_perfect", _yes), "control mode": ("control_mode", str),
    "hr option": ("hr_option", str), "union control type": ("union_control_type", str),
    "advanced weighting": ("advanced_weighting", _weights),
    "inpaint crop input image": ("inpaint_crop_input_image", _yes),
}  # fmt: skip
_TOGETHER: Mapping[str, tuple[str, ...]] = {
    "starting/ending": ("guidance_start", "guidance_end"),
    "preprocessor params": ("processor_res", "threshold_a", "threshold_b"),
}
# Other names of the same in a unit; one that says `image` alone says nothing of these.
_OLDER = {"control_mode": "guessmode", "guidance_end": "guidance"}


def filled_units(always_on: Mapping[str, Any], found: Infotext) -> tuple[dict[str, Any], Infotext]:
    """`alwayson_scripts` with what the text says in units that do not say it, by their numbers; and the text
    without what was filled in, so that the rest is told."""
    said = {int(key[1]): text for name, text in found.parameters.items() if (key := _KEY.fullmatch(name))}
    scripts, used = dict(always_on), set()
    number = 0
    for title in [one for one in scripts if is_title(one)]:
        script = scripts[title]
        args = script.get("args") if isinstance(script, dict) else script
        if not isinstance(args, list):
            continue
        units = []
        for unit in args:
            if isinstance(unit, dict) and number in said:
                unit = _filled(unit, said[number])
                used.add(f"ControlNet {number}")
            units.append(unit)
            number += 1
        scripts[title] = {**script, "args": units} if isinstance(script, dict) else units
    left = {key: text for key, text in found.parameters.items() if key not in used}
    return scripts, replace(found, parameters=left)


def _filled(unit: Mapping[str, Any], text: str) -> dict[str, Any]:
    said = {name: value for name, value in _read(text).items() if _OLDER.get(name) not in unit}
    return said | dict(unit)


def _read(text: str) -> dict[str, Any]:
    """The fields of a unit; what cannot be read is left out."""
    found: dict[str, Any] = {}
    for key, value in _PAIR.findall(text[:4000]):
        name = key.strip().lower()
        if name in _TOGETHER:
            numbers = value.strip("()").split(",")
            found |= _numbers(dict(zip(_TOGETHER[name], numbers, strict=False)))
        elif name in _FIELDS:
            field, kind = _FIELDS[name]
            try:
                found[field] = kind(value.strip())
            except ValueError:
                continue
    return found


def _numbers(said: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in said.items():
        try:
            found[name] = int(text) if name == "processor_res" else float(text)
        except ValueError:
            continue
    return found
