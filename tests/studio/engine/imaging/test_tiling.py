"""Grids of pictures, tiles of a picture."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from easel.studio.engine.imaging import image_grid, rows_of_grid, tile_grid


@pytest.mark.parametrize(
    ("pictures", "batch_size", "n_rows", "prevent", "rows"),
    [
        (4, 2, -1, False, 2),
        (5, 1, -1, False, 2),
        (7, 1, -1, False, 3),
        (7, 1, -1, True, 1),
        (12, 1, -1, True, 3),
        (6, 3, 0, False, 3),
        (6, 3, 1, True, 1),
    ],
)
def test_rows(pictures: int, batch_size: int, n_rows: int, prevent: bool, rows: int) -> None:
    """`n_rows`: so many; 0 is the batch size; -1 a square, with no empty spots if asked."""
    assert rows_of_grid(pictures, batch_size, n_rows=n_rows, prevent_empty_spots=prevent) == rows


def test_a_grid_is_filled_row_by_row() -> None:
    """What is left is black."""
    grid = image_grid([Image.new("RGB", (8, 4), color) for color in ("red", "lime", "blue")], 2)
    assert grid.size == (16, 8)
    colors = [grid.getpixel(place) for place in ((0, 0), (8, 0), (0, 4), (8, 4))]
    assert colors == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)]


def test_where_tiles_lie() -> None:
    """As few as cover the picture, spread evenly, the last at the end."""
    grid = tile_grid(1000, 512, overlap=64)
    assert grid.lefts == (0, 244, 488)
    assert grid.tops == (0,)
    assert tile_grid(960, 512, overlap=64).lefts == (0, 448)
    # 11 * (98 / 11) is less than 98: A1111 leaves the last column black here.
    assert tile_grid(114, 16, tile_width=16, tile_height=16, overlap=7).lefts[-1] == 98


def test_a_tile_fades_in_over_the_one_before() -> None:
    """Over the overlap, from the one before; A1111's ramp does not quite get there (252 of 255)."""
    grid = tile_grid(960, 512, overlap=64)
    row = np.asarray(grid.joined([Image.new("RGB", (512, 512), color) for color in ("black", "white")]))[
        9, :, 0
    ]
    assert (row[:448] == 0).all()
    assert (row[512:] == 255).all()
    assert row[448:512].tolist() == [step * 255 // 64 for step in range(64)]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 2048),
    st.integers(1, 2048),
    st.integers(16, 1024),
    st.integers(16, 1024),
    st.integers(0, 15),
)
def test_cut_and_joined_is_the_same(
    width: int, height: int, tile_width: int, tile_height: int, overlap: int
) -> None:
    """Tiles of one size cover any picture, overlap enough, and give it back; scaled, so does each."""
    grid = tile_grid(width, height, tile_width=tile_width, tile_height=tile_height, overlap=overlap)
    for starts, tile, length in (
        (grid.lefts, grid.tile[0], width), (grid.tops, grid.tile[1], height),
    ):  # fmt: skip
        assert starts[0] == 0
        assert starts[-1] + tile == length
        assert all(before + tile - after >= overlap for before, after in itertools.pairwise(starts))
    if width * height * len(grid.corners) > 2_000_000 or len(grid.corners) > 400:
        return
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    image = Image.fromarray(noise)
    assert grid.joined(grid.cut(image)).tobytes() == image.tobytes()
    twice = [
        tile.resize((tile.width * 2, tile.height * 2), Image.Resampling.NEAREST) for tile in grid.cut(image)
    ]
    large = image.resize((width * 2, height * 2), Image.Resampling.NEAREST)
    assert grid.scaled(2).joined(twice).tobytes() == large.tobytes()
