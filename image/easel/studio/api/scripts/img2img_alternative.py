"""A1111's "img2img alternative test": drawn from the noise that leads to the picture, not from new noise."""

from __future__ import annotations

from typing import Any

from easel.studio import allowed
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.image_to_image_request import ImageToImageRequest
from easel.studio.api.requests.ordering import Ordering
from easel.studio.api.requests.result import Course
from easel.studio.api.requests.script_argument import Argument
from easel.studio.api.scripts.plain import plain
from easel.studio.api.scripts.script import SelectableScript
from easel.studio.engine import FoundNoise, InvalidRequest


def _run(asked: DrawingRequest, arguments: list[Any], ordering: Ordering) -> Course:
    if not isinstance(asked, ImageToImageRequest):
        raise InvalidRequest("script_name", SCRIPT.title, allowed.ONLY_TEXT)
    prompt, negative_prompt, cfg_scale, steps, randomness, adjusted = arguments
    found = FoundNoise(
        prompt=str(prompt),
        negative_prompt=str(negative_prompt),
        cfg_scale=cfg_scale,
        steps=steps,
        randomness=randomness,
        adjusted=adjusted,
    )
    return plain(asked.from_found_noise(found), ordering.options(asked))


SCRIPT = SelectableScript(
    "img2img alternative test",
    (
        Argument("Original prompt", ""),
        Argument("Original negative prompt", ""),
        Argument("Decode CFG scale", 1.0, 0, 15, 0.1),
        Argument("Decode steps", 50, 1, 150, 1),
        Argument("Randomness", 0.0, 0, 1, 0.01),
        Argument("Sigma adjustment for finding noise for image", False),
    ),
    _run,
    ("img2img",),
)
