"""A large picture in overlapping tiles, and back: for upscalers, and for outpainting by tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class TileGrid:
    """Where tiles of one size lie on a picture; neighbours overlap by `overlap` pixels or a few more."""

    picture: tuple[int, int]
    tile: tuple[int, int]
    overlap: int
    lefts: tuple[int, ...]
    tops: tuple[int, ...]

    @property
    def corners(self) -> list[tuple[int, int]]:
        """Left and top of each tile, row by row: the order of `cut` and `joined`."""
        return [(left, top) for top in self.tops for left in self.lefts]

    def cut(self, image: Image.Image) -> list[Image.Image]:
        """The tiles of a picture of this size."""
        width, height = self.tile
        return [image.crop((left, top, left + width, top + height)) for left, top in self.corners]

    def scaled(self, factor: int) -> TileGrid:
        """The grid of the same tiles, each so many times larger."""
        return TileGrid(
            (self.picture[0] * factor, self.picture[1] * factor),
            (self.tile[0] * factor, self.tile[1] * factor),
            self.overlap * factor,
            tuple(left * factor for left in self.lefts),
            tuple(top * factor for top in self.tops),
        )

    def joined(self, tiles: Sequence[Image.Image]) -> Image.Image:
        """The picture (RGB): over the first `overlap` pixels each tile fades in over the one before."""
        width, height = self.tile
        ramp = np.arange(self.overlap) * 255 // max(self.overlap, 1)
        across = Image.fromarray(np.tile(ramp, (height, 1)).astype(np.uint8))
        down = Image.fromarray(np.tile(ramp[:, None], (1, self.picture[0])).astype(np.uint8))
        picture = Image.new("RGB", self.picture)
        for number, top in enumerate(self.tops):
            row = Image.new("RGB", (self.picture[0], height))
            first = number * len(self.lefts)
            for left, tile in zip(self.lefts, tiles[first : first + len(self.lefts)], strict=True):
                faded = self.overlap if left else 0
                if faded:
                    row.paste(tile.crop((0, 0, faded, height)), (left, 0), across)
                row.paste(tile.crop((faded, 0, width, height)), (left + faded, 0))
            faded = self.overlap if top else 0
            if faded:
                picture.paste(row.crop((0, 0, row.width, faded)), (0, top), down)
            picture.paste(row.crop((0, faded, row.width, height)), (0, top + faded))
        return picture


def tile_grid(
    width: int, height: int, *, tile_width: int = 512, tile_height: int = 512, overlap: int = 64
) -> TileGrid:
    """The fewest tiles that cover a picture, spread evenly.

    A picture smaller than a tile is one tile of its own size (A1111 fills up with black on the left, which
    shows when the two differ by less than the overlap). Raises ValueError when tiles would be all overlap.
    """
    tile_width, tile_height = min(tile_width, width), min(tile_height, height)
    lefts = _starts(width, tile_width, overlap)
    tops = _starts(height, tile_height, overlap)
    return TileGrid((width, height), (tile_width, tile_height), overlap, lefts, tops)


def _starts(length: int, tile: int, overlap: int) -> tuple[int, ...]:
    if tile == length:
        return (0,)
    if overlap >= tile:
        raise ValueError(
            f"tiles of {tile} pixels cannot overlap by {overlap}: take larger tiles or less overlap"
        )
    count = math.ceil((length - overlap) / (tile - overlap))
    step = (length - tile) / (count - 1)
    # The last by itself: a product that is a hair too small would leave a column of nothing at the end.
    return (*(int(number * step) for number in range(count - 1)), length - tile)
