"""How much one request and one person may ask of a device that others wait for.

Work is counted in megapixel-steps: pixels of a picture, times the UNet calls it takes, times the pictures, by
a million. It says how long a device is busy up to a factor that depends on the checkpoint, and can be told
before anything is drawn.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, get_args

import structlog

from easel.remark import figure, remark
from easel.studio.engine.errors import TooMuchWork
from easel.studio.engine.requests.request import TextToImage
from easel.studio.owner import Role, role_of

log = structlog.get_logger(__name__)

_MILLION = 1_000_000
_PREFIX = "EASEL_"
_BY_ROLE = "EASEL_LIMITS"


@dataclass(frozen=True)
class Limits:
    """What an endpoint takes. Each field is also a setting of the studio's environment: `EASEL_` and its name
    in capitals, a number above 0.

    `work_per_request` and `work_per_person` are megapixel-steps; the second counts what is left of all that
    a person has waiting or under way. `pixels_per_request` is megapixels of all pictures of a request, which
    are in memory until it is answered; a person may have twice as many. `step_seconds` is how long one UNet
    call may keep the device from everybody else. `requests_waiting` and `pictures_waiting` are how many
    asynchronous requests, and pictures of them, one person may have that are not finished.

    `roles` are the limits of people who came in otherwise than everyone does, whose `role` they then name.
    """

    work_per_request: float = 10_000
    work_per_person: float = 20_000
    pixels_per_request: float = 256
    step_seconds: float = 10
    requests_waiting: float = 50
    pictures_waiting: float = 500
    role: Role | None = None
    roles: Mapping[Role, Limits] = field(default_factory=dict)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Limits:
        """The limits that an environment sets: a variable for each number, EASEL_LIMITS for those of roles,
        `{"visitors": {"requests_waiting": 2}}`. What is no number above 0 is passed over, and logged."""
        variables = {setting(name): name for name in NUMBERS}
        said = {name: environment[name] for name in variables if environment.get(name, "").strip()}
        everyone = cls(**{variables[name]: value for name, value in _numbers(said, "")})
        return replace(everyone, roles=everyone._roles(environment.get(_BY_ROLE, "").strip()))

    def of_person(self, owner: str) -> Limits:
        """The limits of one person."""
        return self.roles.get(role_of(owner), self)

    def set_by(self, name: str) -> str:
        """Where the operator sets a number: a variable of the endpoint's environment, or its stack file."""
        return f"limits.{self.role}.{name}" if self.role else setting(name)

    def _roles(self, text: str) -> dict[Role, Limits]:
        try:
            given = json.loads(text) if text else {}
            said = {role: dict(given[role]) for role in get_args(Role) if role in given}
        except (ValueError, TypeError, RecursionError):
            log.warning("setting passed over", name=_BY_ROLE, value=text[:80], allowed="a mapping by role")
            return {}
        found: dict[Role, Limits] = {}
        for role, numbers in said.items():
            known = {name: value for name, value in numbers.items() if name in NUMBERS}
            found[role] = replace(self, role=role, **dict(_numbers(known, f"{_BY_ROLE}.{role}.")))
        return found

    def check(self, request: TextToImage) -> None:
        """Raise TooMuchWork for a request that is too much, whoever asks and whatever else there is to do."""
        count, last = request.pictures, request.passes()[-1]
        size = f"{last.width}x{last.height}"
        asked = remark("a_picture_of", "a picture of {size}", size=size)
        if count > 1:
            asked = remark("pictures_of", "{n} pictures of {size}", n=count, size=size)
        drawn = request.enlargement is None
        worked, pixel_count = work(request), pixels(request)
        for name, amount, most, takes in (
            ("work_per_request", worked, self.work_per_request, _work_said(request, worked)),
            (
                "pixels_per_request",
                pixel_count,
                self.pixels_per_request,
                remark(
                    "has_megapixels",
                    "with {n} megapixels, which must be in memory until the last is drawn",
                    n=figure(round(pixel_count)),
                ),
            ),
        ):
            if amount > most:
                raise TooMuchWork(
                    field_for_less(request),
                    remark(
                        "too_much_work",
                        "{asked} {takes}; one request may ask for {most}. "
                        "{advice}; the operator sets the limit by {setting}",
                        about=field_for_less(request),
                        asked=asked,
                        takes=takes,
                        most=figure(most, ",g"),
                        advice=_advice(most, amount / count, count, drawn=drawn),
                        setting=self.set_by(name),
                    ),
                )


NUMBERS = tuple(one.name for one in fields(Limits) if one.name not in ("role", "roles"))
"""The limits that are numbers."""


def setting(name: str) -> str:
    """The environment's name of a limit."""
    return _PREFIX + name.upper()


def _numbers(said: Mapping[str, object], where: str) -> Iterator[tuple[str, Any]]:
    for name, given in said.items():
        try:
            value = float(given) if isinstance(given, str | int | float) else math.nan
        except (ValueError, OverflowError):
            value = math.nan
        if value > 0 and math.isfinite(value):
            yield name, value
        else:
            log.warning(
                "setting passed over", name=where + name, value=str(given)[:80], allowed="a number above 0"
            )


def _work_said(request: TextToImage, amount: float) -> str:
    method = remark("by_upscaler", "by an upscaler")
    if request.enlargement is None:
        words = "at {steps} steps ({sampler})"
        method = remark("at_steps", words, steps=request.steps, sampler=request.sampler)
    return remark("takes_work", "{method}: {n} megapixel-steps", method=method, n=figure(round(amount)))


def work(request: TextToImage) -> float:
    """Megapixel-steps of a whole request, all passes of it."""
    return sum(one.work for one in request.passes()) * request.pictures / _MILLION


def pixels(request: TextToImage) -> float:
    """Megapixels of all pictures of a request."""
    last = request.passes()[-1]
    return last.width * last.height * request.pictures / _MILLION


def field_for_less(request: TextToImage) -> str:
    """The field that it is easiest to ask for less by."""
    if request.enlargement is not None:
        return "upscaling_resize"
    return "n_iter" if request.batch_count > 1 else "batch_size" if request.batch_size > 1 else "steps"


def _advice(limit: float, each: float, pictures: int, *, drawn: bool) -> str:
    fitting = int(limit / each)
    if pictures > 1 and fitting:
        return remark("ask_up_to", "Ask for up to {n} at a time, or for smaller ones", n=fitting)
    if drawn:
        return remark("ask_fewer_steps", "Ask for fewer steps, or a smaller picture")
    return remark("ask_smaller", "Ask for a smaller picture")
