"""A request without a script: its pictures, and before them the grid of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.result import Course, Result, ResultPicture
from easel.studio.engine.imaging import image_grid, rows_of_grid
from easel.studio.settings import number_in, yes_in

_SQUARE = -1


def plain(asked: DrawingRequest, settings: Mapping[str, Any]) -> Course:
    """Draw it. `settings` are the options that it is drawn by."""
    [pictures] = yield [asked]
    return Result(pictures, grid_before(pictures, asked, settings))


def grid_before(
    pictures: Sequence[ResultPicture], asked: DrawingRequest, settings: Mapping[str, Any]
) -> list[ResultPicture]:
    """The grid that A1111 sends before several pictures that are saved, with the first one's infotext."""
    if not asked.save_images or asked.do_not_save_grid or not yes_in(settings, "return_grid"):
        return []
    least = 2 if yes_in(settings, "grid_only_if_multiple") else 1
    if len(pictures) < least:
        return []
    n_rows = number_in(settings, "n_rows")
    rows = rows_of_grid(
        len(pictures),
        asked.batch_size,
        n_rows=_SQUARE if n_rows is None else int(n_rows),
        prevent_empty_spots=yes_in(settings, "grid_prevent_empty_spots", default=False),
    )
    grid = image_grid([one.image for one in pictures], rows)
    return [ResultPicture(grid, pictures[0].text, pictures[0].drawn)]
