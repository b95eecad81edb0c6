"""A1111's "Poor man's outpainting": a larger canvas, inpainted tile by tile."""

from __future__ import annotations

from typing import Any

from easel.studio import allowed
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.image_to_image_request import ImageToImageRequest
from easel.studio.api.requests.ordering import Ordering
from easel.studio.api.requests.result import Course, Result, ResultPicture
from easel.studio.api.requests.script_argument import Argument
from easel.studio.api.scripts.outpainting import DIRECTION, PIXELS, begun, fitted, inpainting, sides_of
from easel.studio.api.scripts.script import SelectableScript
from easel.studio.engine import InvalidRequest
from easel.studio.engine.imaging import PoorMansOutpainting, poor_mans

_FILLS = ("fill", "original", "latent noise", "latent nothing")


def _run(asked: DrawingRequest, arguments: list[Any], ordering: Ordering) -> Course:
    pixels, mask_blur, fill, direction = arguments
    sides = sides_of(direction)
    base, picture = begun(asked)
    settled, *_ = ordering.settle(base)
    try:
        plan = poor_mans(
            picture,
            pixels=pixels,
            mask_blur=mask_blur,
            sides=sides,
            tile_width=settled.width or 0,
            tile_height=settled.height or 0,
        )
    except ValueError as e:
        raise InvalidRequest(f"script_args.{PIXELS.label}", pixels, allowed.SMALLER_THAN_SIDES) from e
    return _course(settled, plan, _FILLS.index(fill))


def _course(base: ImageToImageRequest, plan: PoorMansOutpainting, fill: int) -> Course:
    answers = yield [
        inpainting(base, tile, seed=base.seed + number, mask_blur=plan.mask_blur, fill=fill)
        for number, tile in enumerate(plan.tiles)
    ]
    if not all(answers):  # interrupted
        return Result([picture for pictures in answers for picture in pictures])
    results = [fitted(found, tile.image.size) for tile, found in zip(plan.tiles, answers, strict=True)]
    first = answers[0][0]
    return Result([ResultPicture(plan.joined(results), first.text, first.drawn)])


SCRIPT = SelectableScript(
    "Poor man's outpainting",
    (
        PIXELS,
        Argument("Mask blur", 4, 0, 64, 1),
        Argument("Masked content", _FILLS[0], choices=_FILLS),
        DIRECTION,
    ),
    _run,
    ("img2img",),
)
