"""Outpainting, both scripts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from easel.studio.engine.imaging import Margins, Side, margins, mk2_step, poor_mans

ALL = tuple(Side)


def noise(width: int, height: int) -> Image.Image:
    """A picture with something of everything."""
    return Image.fromarray(np.random.default_rng(1).integers(1, 256, (height, width, 3)).astype(np.uint8))


@pytest.mark.parametrize(
    ("size", "sides", "expected"),
    [
        ((512, 512), ALL, Margins(128, 128, 128, 128)),
        ((500, 512), (Side.LEFT, Side.RIGHT), Margins(134, 134, 0, 0)),
        ((500, 500), (Side.LEFT, Side.DOWN), Margins(140, 0, 0, 140)),
        ((512, 512), (), Margins(0, 0, 0, 0)),
    ],
)
def test_margins_fill_up_to_64(size: tuple[int, int], sides: tuple[Side, ...], expected: Margins) -> None:
    """What the next multiple of 64 adds is shared out over the sides that grow."""
    assert margins(size, 128, sides) == expected


def test_poor_mans_tiles_touch_new_ground() -> None:
    """512 by 128 on each side is 768: four tiles, each with some of the old, all of them drawn."""
    image = noise(512, 512)
    plan = poor_mans(image, pixels=128, mask_blur=4)
    assert plan.mask_blur == 8
    assert plan.image.size == (768, 768)
    assert plan.image.crop((128, 128, 640, 640)).tobytes() == image.tobytes()
    assert [tile.image.size for tile in plan.tiles] == [(512, 512)] * 4
    mask, latent_mask = np.asarray(plan.tiles[0].mask), np.asarray(plan.tiles[0].latent_mask)
    # New ground, and twice the blur into the old; latents half of it.
    assert (mask[:136] == 255).all()
    assert (mask[136:, 136:] == 0).all()
    assert (latent_mask[:130] == 255).all()
    assert (latent_mask[130:, 130:] == 0).all()


def test_poor_mans_leaves_the_tiles_inside_alone() -> None:
    """What is drawn comes into its place; a tile of old ground stays as it was."""
    image = noise(1024, 512)
    plan = poor_mans(image, pixels=64, sides=(Side.LEFT,))
    assert plan.drawn == [True, False, False]
    answer = np.asarray(plan.joined([Image.new("RGB", tile.image.size, "blue") for tile in plan.tiles]))
    assert (answer[:, :250] == (0, 0, 255)).all()
    assert np.array_equal(answer[:, 600:], np.asarray(image)[:, 536:])


def test_tiles_that_would_be_all_overlap_are_refused() -> None:
    """A1111 divides by zero."""
    with pytest.raises(ValueError, match="256 pixels cannot overlap by 256"):
        poor_mans(noise(512, 512), pixels=256, tile_width=256, tile_height=256)


@pytest.mark.parametrize("side", Side)
def test_mk2_goes_side_by_side(side: Side) -> None:
    """The old stays but for the blur, new ground is noise with its colours; the result is pasted over."""
    image = noise(128, 128)
    step = mk2_step(image, side, 64, mask_blur=4, width=192, height=192)
    level = side in (Side.LEFT, Side.RIGHT)
    assert step.size == ((192, 128) if level else (128, 192))
    assert step.mask_blur == 16
    assert step.tile.image.size == step.tile.mask.size == step.tile.latent_mask.size == step.size
    whole, mask = np.asarray(step.tile.image), np.asarray(step.tile.mask)
    if not level:
        whole, mask = whole.swapaxes(0, 1), mask.T
    if side in (Side.RIGHT, Side.DOWN):
        whole, mask = whole[:, ::-1], mask[:, ::-1]
    # Pillow's rectangles include their last pixel, so that on the right and below it is one less.
    assert (mask[:, :67] == 255).all()
    assert (mask[:, 68:] == 0).all()
    old = np.asarray(image) if level else np.asarray(image).swapaxes(0, 1)
    assert np.array_equal(whole[:, 68:], (old[:, ::-1] if side in (Side.RIGHT, Side.DOWN) else old)[:, 4:])
    assert 100 < whole[:, :64].mean() < 156
    assert whole[:, :64].std() > 30
    answer = step.joined(Image.new("RGB", step.tile.image.size, "blue"))
    assert answer.getcolors() == [(192 * 128, (0, 0, 255))]


def test_mk2_draws_no_more_at_once_than_the_request_says() -> None:
    """A wide picture: the tile lies at the side that grows, and the rest stays."""
    image = noise(512, 128)
    step = mk2_step(image, Side.RIGHT, 64, width=256, height=128)
    assert step.tile.image.size == (256, 128)
    answer = step.joined(Image.new("RGB", (256, 128), "blue"))
    assert answer.size == (576, 128)
    assert answer.crop((0, 0, 320, 128)).tobytes() == image.crop((0, 0, 320, 128)).tobytes()
    assert answer.getpixel((321, 0)) == (0, 0, 255)


def test_mk2s_noise_goes_by_the_picture_alone() -> None:
    """Twice the same; another exponent or colour gives another."""
    first, again = (mk2_step(noise(64, 64), Side.LEFT, 64).tile.image for _ in range(2))
    assert first.tobytes() == again.tobytes()
    for other in ({"noise_q": 3.0}, {"color_variation": 1.0}):
        assert mk2_step(noise(64, 64), Side.LEFT, 64, **other).tile.image.tobytes() != first.tobytes()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 300), st.integers(1, 300), st.sampled_from([0, 128, 255]), st.sampled_from(Side),
    st.integers(0, 64), st.integers(8, 256),
)  # fmt: skip
def test_any_picture_is_extended(
    width: int, height: int, level: int, side: Side, mask_blur: int, pixels: int
) -> None:
    """One colour too, black too (mk2 divides by its maximum), and blurs wider than the picture. What is drawn
    is of whole latent pixels."""
    image = Image.new("L", (width, height), level).convert("RGB")
    add = margins(image.size, pixels, [side])
    step = mk2_step(image, side, max(add.left, add.right, add.up, add.down), mask_blur=mask_blur)
    assert [side % 8 for side in step.tile.image.size] == [0, 0]
    answer = step.joined(step.tile.image)
    level_side = side in (Side.LEFT, Side.RIGHT)
    assert (answer.width % 64, answer.height) == (0, height) if level_side else True
    plan = poor_mans(image, pixels=pixels, mask_blur=mask_blur, sides=[side], tile_width=512, tile_height=512)
    whole = plan.joined([tile.image for tile in plan.tiles])
    assert whole.size == plan.image.size
    assert (whole.width % 64, whole.height % 64) == (0, 0)


def test_mk2_with_both_sides_draws_whole_latent_pixels() -> None:
    """The left half of what 64 asks for may be any number; the old ground beyond the tile stays."""
    image = noise(301, 64)
    add = margins(image.size, 8, [Side.LEFT, Side.RIGHT])
    step = mk2_step(image, Side.LEFT, add.left)
    assert (301 + add.left) % 8 != 0
    assert step.tile.image.width == (301 + add.left) // 8 * 8
    answer = step.joined(Image.new("RGB", step.tile.image.size, "blue"))
    assert answer.getpixel((answer.width - 1, 0)) == image.getpixel((300, 0))
