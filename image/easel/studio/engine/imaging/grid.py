"""All pictures of a request as one, which A1111 sends first."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image

AUTOMATIC_ROWS = -1
ROWS_OF_A_BATCH = 0


def rows_of_grid(
    pictures: int, batch_size: int = 1, *, n_rows: int = AUTOMATIC_ROWS, prevent_empty_spots: bool = False
) -> int:
    """How many rows so many pictures take: `n_rows`, or with 0 one picture of each batch per column, or with
    -1 a square; with `grid_prevent_empty_spots` the most square one that has no empty spots."""
    if n_rows > 0:
        return n_rows
    if n_rows == ROWS_OF_A_BATCH:
        return batch_size
    if not prevent_empty_spots:
        return round(math.sqrt(pictures))
    return next(rows for rows in range(math.isqrt(pictures), 0, -1) if pictures % rows == 0)


def image_grid(images: Sequence[Image.Image], rows: int) -> Image.Image:
    """At least one picture, in rows, on black; each spot is as large as the first picture."""
    columns = math.ceil(len(images) / rows)
    width, height = images[0].size
    grid = Image.new("RGB", (columns * width, rows * height))
    for number, image in enumerate(images):
        grid.paste(image, (number % columns * width, number // columns * height))
    return grid
