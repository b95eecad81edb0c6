"""A1111's "SD upscale": the picture enlarged, and drawn over tile by tile."""

from __future__ import annotations

from typing import Any

from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.image_to_image_request import ImageToImageRequest
from easel.studio.api.requests.ordering import Ordering
from easel.studio.api.requests.result import Course, Result, ResultPicture
from easel.studio.api.requests.script_argument import Argument
from easel.studio.api.requests.sent_picture import SentPictures
from easel.studio.api.scripts.outpainting import begun, fitted
from easel.studio.api.scripts.script import SelectableScript
from easel.studio.engine import InvalidRequest
from easel.studio.engine.imaging import PIXEL_UPSCALERS, TileGrid, TooManyPixels, tile_grid, upscaled

_OVERLAP, _FACTOR = "Tile overlap", "Scale Factor"


def _run(asked: DrawingRequest, arguments: list[Any], ordering: Ordering) -> Course:
    _, overlap, upscaler, factor = arguments
    base, picture = begun(asked)
    base, *_ = ordering.settle(base)
    width, height = base.width or 0, base.height or 0
    try:
        large = picture if upscaler == "None" else upscaled(picture, factor, PIXEL_UPSCALERS[upscaler])
        grid = tile_grid(*large.size, tile_width=width, tile_height=height, overlap=overlap)
    except TooManyPixels as e:
        raise InvalidRequest(f"script_args.{_FACTOR}", factor, "a picture that fits into memory") from e
    except ValueError as e:
        raise InvalidRequest(f"script_args.{_OVERLAP}", overlap, "less than width and height") from e
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
    return _course(tiles, grid, asked.n_iter)


def _course(tiles: list[ImageToImageRequest], grid: TileGrid, count: int) -> Course:
    """`count` pictures, each with the next seed."""
    answers = yield [
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
        Argument("Upscaler", "None", choices=tuple(PIXEL_UPSCALERS)),
        Argument(_FACTOR, 2.0, 1, 4, 0.05),
    ),
    _run,
    ("img2img",),
)
