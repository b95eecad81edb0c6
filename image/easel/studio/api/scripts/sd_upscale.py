"""A1111's "SD upscale": the picture enlarged, and drawn over tile by tile."""

from __future__ import annotations

from typing import Any

from easel.remark import remark
from easel.studio import allowed
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.image_to_image_request import ImageToImageRequest
from easel.studio.api.requests.ordering import Ordering
from easel.studio.api.requests.result import Course, PictureToEnlarge, Result, ResultPicture
from easel.studio.api.requests.script_argument import Argument
from easel.studio.api.requests.sent_picture import SentPictures
from easel.studio.api.scripts.outpainting import begun, fitted
from easel.studio.api.scripts.script import SelectableScript
from easel.studio.engine import InvalidRequest
from easel.studio.engine.imaging import MAX_PIXELS, PIXEL_UPSCALERS, TileGrid, tile_grid, upscaled_size

_OVERLAP, _UPSCALER, _FACTOR = "Tile overlap", "Upscaler", "Scale Factor"


def _run(asked: DrawingRequest, arguments: list[Any], ordering: Ordering) -> Course:
    _, overlap, said, factor = arguments
    upscaler = ordering.upscaler(f"script_args.{_UPSCALER}", said)
    base, picture = begun(asked)
    base, *_ = ordering.settle(base)
    width, height = base.width or 0, base.height or 0
    size = picture.size if upscaler == "None" else upscaled_size(picture.size, factor)
    if size[0] * size[1] > MAX_PIXELS:
        raise InvalidRequest(
            f"script_args.{_FACTOR}", factor, remark("fits_memory", "a picture that fits into memory")
        )
    try:
        grid = tile_grid(*size, tile_width=width, tile_height=height, overlap=overlap)
    except ValueError as e:
        raise InvalidRequest(f"script_args.{_OVERLAP}", overlap, allowed.SMALLER_THAN_SIDES) from e
    return _course(base, PictureToEnlarge(picture, upscaler, factor), grid, asked.n_iter)


def _course(base: ImageToImageRequest, source: PictureToEnlarge, grid: TileGrid, count: int) -> Course:
    """`count` pictures, each with the next seed."""
    large = source.image
    if source.upscaler != "None":
        large = yield source
    tiles = [
        base.over(
            SentPictures.of([tile]),
            width=grid.tile[0],
            height=grid.tile[1],
            resize_mode=0,
            seed=base.seed + number,
        )
        for number, tile in enumerate(grid.cut(large))
    ]
    answers: list[list[ResultPicture]] = yield [
        tile.model_copy(update={"seed": tile.seed + number}) for number in range(count) for tile in tiles
    ]
    found = []
    for number in range(count):
        pictures = answers[number * len(tiles) : (number + 1) * len(tiles)]
        if not all(pictures):  # interrupted
            break
        first = pictures[0][0]
        joined = grid.joined([fitted(one, grid.tile) for one in pictures])
        found.append(ResultPicture(joined, first.text, first.drawn))
    return Result(found)


SCRIPT = SelectableScript(
    "SD upscale",
    (
        Argument(""),
        Argument(_OVERLAP, 64, 0, 256, 16),
        Argument(_UPSCALER, "None", choices=tuple(PIXEL_UPSCALERS), free=True),
        Argument(_FACTOR, 2.0, 1, 4, 0.05),
    ),
    _run,
    ("img2img",),
)
