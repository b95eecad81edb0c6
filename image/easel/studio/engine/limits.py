"""How much one request and one person may ask of a device that others wait for.

Work is counted in megapixel-steps: pixels of a picture, times the UNet calls it takes, times the pictures, by
a million. It says how long a device is busy up to a factor that depends on the checkpoint, and can be told
before anything is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import structlog

from easel.remark import remark
from easel.studio.engine.errors import TooMuchWork
from easel.studio.engine.request import TextToImage

log = structlog.get_logger(__name__)

_MILLION = 1_000_000
_PREFIX = "EASEL_"


@dataclass(frozen=True)
class Limits:
    """What an endpoint takes. Each field is also a setting of the studio's environment: `EASEL_` and its name
    in capitals, a number above 0.

    `work_per_request` and `work_per_person` are megapixel-steps; the second counts what is left of all that
    a person has waiting or under way. `pixels_per_request` is megapixels of all pictures of a request, which
    are in memory until it is answered; a person may have twice as many. `step_seconds` is how long one UNet
    call may keep the device from everybody else. `requests_waiting` and `pictures_waiting` are how many
    asynchronous requests, and pictures of them, one person may have that are not finished.
    """

    work_per_request: float = 10_000
    work_per_person: float = 20_000
    pixels_per_request: float = 256
    step_seconds: float = 10
    requests_waiting: float = 50
    pictures_waiting: float = 500

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Limits:
        """The limits that an environment sets. What is no number above 0 is passed over, and logged."""
        said: dict[str, float] = {}
        for field in fields(cls):
            name = setting(field.name)
            if (text := environment.get(name, "").strip()) == "":
                continue
            try:
                value = float(text)
            except ValueError:
                value = math.nan
            if value > 0 and math.isfinite(value):
                said[field.name] = value
            else:
                log.warning("setting passed over", name=name, value=text[:80], allowed="a number above 0")
        return cls(**said)

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
                    "has {n:,} megapixels, which must be in memory until the last is drawn",
                    n=round(pixel_count),
                ),
            ),
        ):
            if amount > most:
                raise TooMuchWork(
                    _field(request),
                    remark(
                        "too_much_work",
                        "{asked} {takes}; one request may ask for {most:,g}. "
                        "{advice}; the operator sets the limit by {setting}",
                        about=_field(request),
                        asked=asked,
                        takes=takes,
                        most=most,
                        advice=_advice(most, amount / count, count, drawn=drawn),
                        setting=setting(name),
                    ),
                )


def setting(field: str) -> str:
    """The environment's name of a limit."""
    return _PREFIX + field.upper()


def _work_said(request: TextToImage, amount: float) -> str:
    method = remark("by_upscaler", "by an upscaler")
    if request.enlargement is None:
        words = "at {steps} steps ({sampler})"
        method = remark("at_steps", words, steps=request.steps, sampler=request.sampler)
    return remark("takes_work", "{method} takes {n:,} megapixel-steps", method=method, n=round(amount))


def work(request: TextToImage) -> float:
    """Megapixel-steps of a whole request, all passes of it."""
    return sum(one.work for one in request.passes()) * request.pictures / _MILLION


def pixels(request: TextToImage) -> float:
    """Megapixels of all pictures of a request."""
    last = request.passes()[-1]
    return last.width * last.height * request.pictures / _MILLION


def _field(request: TextToImage) -> str:
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
