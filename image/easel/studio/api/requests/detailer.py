"""ADetailer's arguments: which units can be followed here, and what there is to tell of the others.

Its detectors are YOLO's and MediaPipe's files, which are not read here: YOLO's are pickles of a library under
the AGPL. Faces are found by RetinaFace, where that file is in the store.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from easel.remark import remark
from easel.studio.api.requests.detailer_unit import DetailerUnit
from easel.studio.api.requests.field_faults import fault_words
from easel.studio.api.requests.script_argument import script_arguments
from easel.studio.engine import InvalidRequest

NAME = "adetailer"
_NONE = ("", "none")
_RETINA = "retinaface"
# face_yolov8n.pt, face_yolov9c.pt and their kin, mediapipe_face_full, …_mesh, …_mesh_eyes_only
_FACES = re.compile(r"face_yolo.*|mediapipe_face_(full|short|mesh)|retinaface", re.IGNORECASE)


class Detailing:
    """What ADetailer is to do with each picture: `units` in order. `instead`: pictures of img2img are not
    drawn over as a whole, but these areas of them."""

    def __init__(self, units: Sequence[DetailerUnit], *, instead: bool) -> None:
        self.units = tuple(units)
        self.instead = instead

    def parameters(self) -> dict[str, object]:
        """What it adds to infotexts."""
        found: dict[str, object] = {}
        for number, unit in enumerate(self.units):
            found |= unit.parameters(number)
        return {**found, "ADetailer version": VERSION}


VERSION = "25.3.0"
"""The release whose arguments, rules and infotext these are."""


def detailing(always_on: Mapping[str, Any], *, faces: bool) -> tuple[Detailing | None, list[str]]:
    """What is to be done, None for nothing, and what to tell. `faces`: whether faces can be found here.

    Arguments are A1111's: perhaps two switches (on; only this in img2img), then a unit for each detector.
    Raises InvalidRequest for units that cannot be followed as they are.
    """
    arguments = [
        one
        for title, script in always_on.items()
        if is_detailer(title)
        for one in script_arguments(title, script)
    ]
    if arguments and arguments[0] is False:
        return None, []
    units: list[DetailerUnit] = []
    missing: list[str] = []
    notes: list[str] = []
    for number, sent, model in _on(arguments):
        if not (faces and _FACES.fullmatch(model)):
            missing.append(model)
            continue
        units.append(_unit(number, sent))
        if model.lower() != _RETINA:
            notes.append(
                remark(
                    "other_detector",
                    "ADetailer: faces were found by RetinaFace and not by {model}, which is not read here.",
                    model=model,
                )
            )
    if missing:
        names = ", ".join(dict.fromkeys(missing))
        notes.append(
            remark(
                "no_detector",
                "ADetailer was not followed: there is no detector file {names} here.",
                names=names,
            )
        )
    notes = list(dict.fromkeys(notes))
    if not units:
        return None, notes
    return Detailing(units, instead=len(arguments) > 1 and arguments[1] is True), notes


def is_detailer(title: str) -> bool:
    """Whether this is ADetailer's title among `alwayson_scripts`."""
    return title.strip().lower() == NAME


def _on(arguments: Sequence[Any]) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Units that are on: their numbers, what they say and their detectors."""
    units = [one for one in arguments if isinstance(one, dict)]
    for number, unit in enumerate(units):
        off = unit.get("ad_tab_enable") is False or unit.get("ad_tap_enable") is False
        name = str(unit.get("ad_model") or "").strip()[:60]
        if not off and name.lower() not in _NONE:
            yield number, unit, name


def _unit(number: int, sent: Mapping[str, Any]) -> DetailerUnit:
    try:
        return DetailerUnit(**sent)
    except ValidationError as e:
        wrong = e.errors()[0]
        key = str(wrong["loc"][0]) if wrong["loc"] else "unit"
        raise InvalidRequest(
            f"alwayson_scripts.ADetailer.{number}.{key}", sent.get(key), fault_words(wrong)
        ) from e
