"""A1111's scripts "Poor man's outpainting" and "Outpainting mk2": a larger picture, and what to inpaint.

Both extend to multiples of 64 and share out over the sides what that adds. Poor man's cuts the extended
picture into tiles and inpaints each that touches new ground; mk2 extends one side after the other, on noise
that has the picture's own spectrum (`spectral_noise.py`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from PIL import Image, ImageDraw

from easel.studio.engine.imaging.mask import CropRegion
from easel.studio.engine.imaging.spectral_noise import painted_over
from easel.studio.engine.imaging.tiling import TileGrid, tile_grid

_MULTIPLE = 64


class Side(StrEnum):
    """A direction as the scripts name it, in mk2's order."""

    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True)
class Margins:
    """New pixels on each side."""

    left: int
    right: int
    up: int
    down: int


@dataclass(frozen=True)
class OutpaintTile:
    """One inpainting: `mask` is white where it is drawn anew, `latent_mask` where the latents are (A1111's
    `latent_mask`, narrower by the blur). All three of one size, which is the size to draw."""

    image: Image.Image
    mask: Image.Image
    latent_mask: Image.Image


@dataclass(frozen=True)
class PoorMansOutpainting:
    """What to inpaint and how to put it together.

    Each tile is inpainted as a whole picture with `mask_blur` below and the script's own `inpainting_fill`;
    each has the seed of the one before plus one.
    """

    image: Image.Image
    mask_blur: int
    tiles: Sequence[OutpaintTile]
    grid: TileGrid
    drawn: Sequence[bool]
    """Which of the grid's tiles `tiles` are; the others hold old ground only and stay."""

    def joined(self, results: Sequence[Image.Image]) -> Image.Image:
        """The extended picture, from a result of each of `tiles` in their order."""
        waiting = iter(results)
        pieces = zip(self.grid.cut(self.image), self.drawn, strict=True)
        return self.grid.joined([next(waiting) if anew else piece for piece, anew in pieces])


@dataclass(frozen=True)
class Mk2Step:
    """One side of mk2: inpaint `tile` as a whole picture, content `ORIGINAL`, with `mask_blur`."""

    tile: OutpaintTile
    mask_blur: int
    extended: Image.Image
    place: tuple[int, int]
    size: tuple[int, int]

    def joined(self, result: Image.Image) -> Image.Image:
        """The picture with its new side."""
        whole = self.extended.copy()
        whole.paste(result, self.place)
        return whole.crop((0, 0, *self.size))


def margins(size: tuple[int, int], pixels: int, sides: Collection[Side]) -> Margins:
    """`pixels` on each of the sides, and what the next multiples of 64 add."""
    left, right = _shared_out(size[0], *(pixels if side in sides else 0 for side in (Side.LEFT, Side.RIGHT)))
    up, down = _shared_out(size[1], *(pixels if side in sides else 0 for side in (Side.UP, Side.DOWN)))
    return Margins(left, right, up, down)


def poor_mans(
    image: Image.Image,
    *,
    pixels: int = 128,
    mask_blur: int = 4,
    sides: Collection[Side] = tuple(Side),
    tile_width: int = 512,
    tile_height: int = 512,
) -> PoorMansOutpainting:
    """The script's arguments, and the size that the request draws at. Raises ValueError when `pixels`, by
    which tiles overlap, are as many as a tile has."""
    add = margins(image.size, pixels, sides)
    extended = Image.new("RGB", _padded(image.width + add.left + add.right, image.height + add.up + add.down))
    extended.paste(image, (add.left, add.up))
    mask = _frame(extended.size, add, mask_blur * 2)
    latent_mask = _frame(extended.size, add, mask_blur // 2)
    grid = tile_grid(*extended.size, tile_width=tile_width, tile_height=tile_height, overlap=pixels)
    old = CropRegion(add.left, add.up, extended.width - add.right, extended.height - add.down)
    drawn = [
        not (
            old.left <= left and left + grid.tile[0] <= old.right
            and old.top <= top and top + grid.tile[1] <= old.bottom
        )
        for left, top in grid.corners
    ]  # fmt: skip
    pieces = zip(grid.cut(extended), grid.cut(mask), grid.cut(latent_mask), drawn, strict=True)
    tiles = [OutpaintTile(*piece) for *piece, anew in pieces if anew]
    return PoorMansOutpainting(extended, mask_blur * 2, tiles, grid, drawn)


def mk2_step(
    image: Image.Image,
    side: Side,
    pixels: int,
    *,
    mask_blur: int = 8,
    noise_q: float = 1,
    color_variation: float = 0.05,
    width: int = 512,
    height: int = 512,
) -> Mk2Step:
    """Extend one side by `pixels` (from `margins`): for each side in the order of `Side`, the next from the
    last one's result. `width` and `height` are the request's: no more than that is drawn at once."""
    across, along = (pixels, 0) if side in (Side.LEFT, Side.RIGHT) else (0, pixels)
    size = image.width + across, image.height + along
    canvas = Image.new("RGB", _padded(*size))
    canvas.paste(image, (across if side is Side.LEFT else 0, along if side is Side.UP else 0))
    mask = _strip(canvas.size, size, side, pixels + mask_blur)
    canvas = painted_over(canvas, mask, noise_q, color_variation)

    # Latents are 8 pixels wide; A1111 asks for any size, and gets one rounded down. Less than one is no size
    # that may be drawn, which is said of the tile as of any picture.
    shown = (
        max(8, min(width, size[0]) // 8 * 8) if across else canvas.width,
        max(8, min(height, size[1]) // 8 * 8) if along else canvas.height,
    )
    left = 0 if side is Side.LEFT else canvas.width - shown[0]
    top = 0 if side is Side.UP else canvas.height - shown[1]
    box = (left, top, left + shown[0], top + shown[1])
    tile = OutpaintTile(canvas.crop(box), mask.crop(box), _strip(shown, size, side, pixels + mask_blur * 2))
    return Mk2Step(tile, mask_blur * 4, canvas, (left, top), size)


def _shared_out(length: int, before: int, after: int) -> tuple[int, int]:
    more = math.ceil((length + before + after) / _MULTIPLE) * _MULTIPLE - length
    if before:
        before = before * more // (before + after)
    return before, more - before if after else 0


def _padded(width: int, height: int) -> tuple[int, int]:
    return math.ceil(width / _MULTIPLE) * _MULTIPLE, math.ceil(height / _MULTIPLE) * _MULTIPLE


def _frame(size: tuple[int, int], add: Margins, inwards: int) -> Image.Image:
    """White where it is new, and `inwards` pixels into the old on each side that grows."""
    return _white_but(
        size,
        add.left + (inwards if add.left else 0),
        add.up + (inwards if add.up else 0),
        size[0] - add.right - (inwards if add.right else 0),
        size[1] - add.down - (inwards if add.down else 0),
    )


def _strip(size: tuple[int, int], filled: tuple[int, int], side: Side, reach: int) -> Image.Image:
    """White along one side for `reach` pixels, and where the canvas is larger than the picture."""
    return _white_but(
        size,
        reach if side is Side.LEFT else 0,
        reach if side is Side.UP else 0,
        size[0] - reach if side is Side.RIGHT else filled[0],
        size[1] - reach if side is Side.DOWN else filled[1],
    )


def _white_but(size: tuple[int, int], left: int, top: int, right: int, bottom: int) -> Image.Image:
    """A white mask with a black rectangle, right and bottom included; none where nothing is left of it."""
    mask = Image.new("L", size, "white")
    if left <= right and top <= bottom:
        ImageDraw.Draw(mask).rectangle((left, top, right, bottom), fill="black")
    return mask
