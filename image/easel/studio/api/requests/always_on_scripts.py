"""A1111's own always-on scripts and ControlNet, as far as their arguments say what a request can say.

Programs copy them from what A1111's page sends, beside the fields that say the same. A1111's API takes the
arguments of `Sampler`, `Seed` and `Refiner` and does not look at them. Here they count where the request
itself is silent; where both speak, the request is right, as there, and the answer tells of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from easel.remark import remark
from easel.studio.api.requests import control_units, detailer, soft_inpainting
from easel.studio.api.requests.drawing_request import AnyRequest, DrawingRequest
from easel.studio.api.requests.field_faults import fault_words
from easel.studio.api.requests.options_table import same
from easel.studio.api.requests.refusals import UnknownScript
from easel.studio.api.requests.script_argument import TABS, Argument, script_arguments
from easel.studio.engine import InvalidRequest


@dataclass(frozen=True)
class AlwaysOnScript:
    """An always-on script: its title in A1111, and its arguments in order."""

    title: str
    arguments: tuple[Argument, ...] = field(default=())
    tabs: tuple[str, ...] = TABS

    @property
    def name(self) -> str:
        """What A1111 lists it as."""
        return self.title.lower()


ALWAYS_ON: tuple[AlwaysOnScript, ...] = (
    AlwaysOnScript("Comments"),
    AlwaysOnScript(control_units.TITLE, (Argument("ControlNet unit"),)),
    AlwaysOnScript("Extra options"),
    AlwaysOnScript("Hypertile"),
    AlwaysOnScript(  # Forge Neo's; the largest side is the model's own here
        "ImageStitch Integrated",
        (Argument("Enable", False), Argument("Reference Images"), Argument("Max Side", 1024)),
    ),
    AlwaysOnScript(
        "Refiner", (Argument("Refiner", False), Argument("Checkpoint", ""), Argument("Switch at", 0.8))
    ),
    AlwaysOnScript(
        "Sampler",
        (
            Argument("Sampling steps", 20), Argument("Sampling method"),
            Argument("Schedule type", "Automatic"),
        ),
    ),
    AlwaysOnScript(
        "Seed",
        (
            Argument("Seed", -1), Argument("Extra", False), Argument("Variation seed", -1),
            Argument("Variation strength", 0.0), Argument("Resize seed from width", 0),
            Argument("Resize seed from height", 0),
        ),
    ),
    AlwaysOnScript(soft_inpainting.TITLE, soft_inpainting.ARGUMENTS, ("img2img",)),
)  # fmt: skip
DETAILER = AlwaysOnScript("ADetailer", (Argument("ADetailer unit"),))
"""Is there where a face detector is."""
_BY_NAME = {script.name: script for script in ALWAYS_ON}


def scripted(asked: AnyRequest, options: Mapping[str, Any]) -> tuple[AnyRequest, list[str]]:
    """The request with what its always-on scripts say where it says nothing itself, and what to tell.

    `options` are the caller's. Raises UnknownScript for one that is not here and is on, InvalidRequest for
    arguments that cannot be.
    """
    notes: list[str] = []
    said: dict[str, Any] = {}
    overrides: dict[str, Any] = {}
    for title, script in asked.alwayson_scripts.items():
        if title.strip().lower() == detailer.NAME:  # read where it is known which files are there
            continue
        known = _known(asked, title, script)
        if known is None:
            continue
        if control_units.is_title(title):  # read where the engine's request is made
            continue
        arguments = script_arguments(title, script)
        if known.title == "Extra options":
            overrides |= dict(zip(_names(options, asked.TAB), arguments, strict=False))
            continue
        if len(arguments) > len(known.arguments):
            notes.append(
                remark(
                    "more_arguments",
                    "{title} has {n} arguments; what came behind was left.",
                    title=known.title,
                    n=len(known.arguments),
                )
            )
        said |= {key: value for key, value in _fields(known, arguments) if value is not None}
    for key, value in said.items():
        if key in _sent(asked) and not same(getattr(asked, key), value):
            notes.append(
                remark(
                    "own_taken",
                    "The request's own {name} was taken, not the {value} of an always-on script, "
                    "as in A1111.",
                    about=key,
                    name=key,
                    value=repr(value)[:80],
                )
            )
    if not said and not overrides:
        return asked, notes
    sent = {name: getattr(asked, name) for name in asked.model_fields_set} | (asked.model_extra or {})
    fields = {key: value for key, value in said.items() if key not in _sent(asked)}
    try:
        return type(asked)(
            **{**fields, **sent, "override_settings": {**overrides, **asked.override_settings}}
        ), notes
    except ValidationError as e:
        key = str(e.errors()[0]["loc"][0])
        raise InvalidRequest(f"alwayson_scripts.{key}", said.get(key), fault_words(e.errors()[0])) from e


def _known(asked: DrawingRequest, title: str, script: Any) -> AlwaysOnScript | None:
    """The script of that title, None for one that is not here and is off. Raises UnknownScript."""
    known = _BY_NAME.get(title.strip().lower())
    if known is not None and asked.TAB in known.tabs:
        return known
    if _active(script):
        known_here = [one.title for one in ALWAYS_ON if asked.TAB in one.tabs]
        raise UnknownScript(
            remark("always_on_not_found", "always on script {title} not found", title=title[:60]), known_here
        )
    return None


def _sent(asked: DrawingRequest) -> set[str]:
    """Fields that the request says itself; the older name of the sampler says the sampler."""
    sent = set(asked.model_fields_set)
    return sent | {"sampler_name"} if "sampler_index" in sent else sent


def _fields(script: AlwaysOnScript, arguments: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    values = [*arguments, *(None,) * len(script.arguments)]
    match script.title:
        case "Sampler":
            yield from zip(("steps", "sampler_name", "scheduler"), values, strict=False)
        case "Seed":
            seed, extra, subseed, strength, width, height = values[:6]
            yield "seed", seed
            if extra is True and _positive(strength):
                yield from (("subseed", subseed), ("subseed_strength", strength))
            if extra is True and _positive(width) and _positive(height):
                yield from (("seed_resize_from_w", width), ("seed_resize_from_h", height))
        case "ImageStitch Integrated" if values[0] is True:
            yield "reference_images", values[1]
        case "Refiner" if values[0] is True:
            yield from (("refiner_checkpoint", values[1]), ("refiner_switch_at", values[2]))


def _positive(value: Any) -> bool:
    try:
        return float(value) > 0
    except (TypeError, ValueError, OverflowError):
        return False


def _names(options: Mapping[str, Any], tab: str) -> list[str]:
    found = options.get(f"extra_options_{tab}")
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _active(script: Any) -> bool:
    """Whether a script's arguments switch it on; clients send `{"args": [false]}` for one that is off."""
    args = script.get("args", []) if isinstance(script, dict) else script
    units = list(args.values()) if isinstance(args, dict) else args
    if not isinstance(units, list):
        return bool(units)
    if not units or units[0] is False:
        return False
    return any(not (isinstance(unit, dict) and unit.get("enabled") is False) for unit in units)
