"""A1111's "Outpainting mk2": one side after the other, on noise with the picture's own spectrum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.image_to_image_request import ImageToImageRequest
from easel.studio.api.requests.ordering import Ordering
from easel.studio.api.requests.result import Course, Result, ResultPicture
from easel.studio.api.requests.script_argument import Argument
from easel.studio.api.scripts.outpainting import DIRECTION, PIXELS, begun, fitted, inpainting, sides_of
from easel.studio.api.scripts.plain import grid_before
from easel.studio.api.scripts.script import SelectableScript
from easel.studio.engine import MaskedContent
from easel.studio.engine.imaging import Side, margins, mk2_step

if TYPE_CHECKING:
    from PIL.Image import Image


def _run(asked: DrawingRequest, arguments: list[Any], ordering: Ordering) -> Course:
    _, pixels, mask_blur, direction, noise_q, color_variation = arguments
    sides = sides_of(direction)
    base, picture = begun(asked)
    settled, settings, _ = ordering.settle(base)
    look = {"mask_blur": mask_blur, "noise_q": noise_q, "color_variation": color_variation}

    def course() -> Course:
        add = margins(picture.size, pixels, sides)
        wide = {Side.LEFT: add.left, Side.RIGHT: add.right, Side.UP: add.up, Side.DOWN: add.down}
        finished: list[ResultPicture] = []
        images = [picture] * (asked.batch_size * asked.n_iter)
        for side in sides:
            finished = yield from _extended(settled, images, side, wide[side], look)
            images = [one.image for one in finished]
            if not images:
                break
        return Result(finished, grid_before(finished, asked, settings))

    return course()


def _extended(
    base: ImageToImageRequest, images: list[Image], side: Side, pixels: int, look: dict[str, Any]
) -> Any:
    """One side of all pictures; those that were interrupted are left out."""
    size = {"width": base.width or 0, "height": base.height or 0}
    steps = [mk2_step(image, side, pixels, **look, **size) for image in images]
    answers = yield [
        inpainting(
            base,
            step.tile,
            seed=base.seed + number,
            mask_blur=step.mask_blur,
            fill=MaskedContent.ORIGINAL.value,
        )
        for number, step in enumerate(steps)
    ]
    return [
        ResultPicture(
            step.joined(fitted(pictures, step.tile.image.size)), pictures[0].text, pictures[0].drawn
        )
        for step, pictures in zip(steps, answers, strict=True)
        if pictures
    ]


SCRIPT = SelectableScript(
    "Outpainting mk2",
    (
        Argument(""), PIXELS, Argument("Mask blur", 8, 0, 64, 1), DIRECTION,
        Argument("Fall-off exponent (lower=higher detail)", 1.0, 0, 4, 0.01),
        Argument("Color variation", 0.05, 0, 1, 0.01),
    ),
    _run,
    ("img2img",),
)  # fmt: skip
