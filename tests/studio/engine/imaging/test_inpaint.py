"""A picture from the request to the VAE, and from the VAE to the answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from easel.studio.engine.imaging import BLANK_MASK, Inpainting, MaskedContent, ResizeMode, prepare

RED, BLUE = (255, 0, 0), (0, 0, 255)


def painted(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    """A black mask with a white box."""
    mask = Image.new("L", size)
    mask.paste(255, box)
    return mask


def test_img2img_without_a_mask() -> None:
    """Flattened and resized; what is drawn is the answer."""
    prepared = prepare(Image.new("RGBA", (40, 30)), 64, 64, background="#0000ff")
    assert prepared.image.size == (64, 64)
    assert prepared.image.getpixel((9, 9)) == BLUE
    assert prepared.latent_mask(8, 8) is None
    drawn = Image.new("RGB", (64, 64), "red")
    assert prepared.finished(drawn) is drawn


def test_latent_upscale_sends_the_picture_as_it_is() -> None:
    """The latents are stretched later; mask and overlay are stretched now and lie over them."""
    plain = prepare(Image.new("RGB", (40, 30), RED), 64, 64, resize_mode=ResizeMode.LATENT_UPSCALE)
    assert plain.image.size == (40, 30)
    asked = Inpainting(painted((40, 30), (0, 0, 20, 30)), only_masked=False)
    masked = prepare(Image.new("RGB", (40, 30), RED), 64, 64, asked, resize_mode=ResizeMode.LATENT_UPSCALE)
    assert masked.image.size == (40, 30)
    answer = masked.finished(Image.new("RGB", (64, 64), BLUE))
    assert (answer.getpixel((10, 32)), answer.getpixel((60, 32))) == (BLUE, RED)


def test_the_whole_picture() -> None:
    """Inside of what was painted all is the drawing's, far outside the original's, between a blend."""
    asked = Inpainting(
        painted((128, 128), (0, 0, 64, 128)), only_masked=False, content=MaskedContent.ORIGINAL
    )
    prepared = prepare(Image.new("RGB", (128, 128), RED), 64, 64, asked)
    assert prepared.region is None
    mask = prepared.latent_mask(8, 8)
    assert mask is not None
    assert mask.tolist() == [[1] * 4 + [0] * 4] * 8
    row = np.asarray(prepared.finished(Image.new("RGB", (64, 64), BLUE)))[32].astype(int)
    assert row[:32].tolist() == [list(BLUE)] * 32
    assert row[45:].tolist() == [list(RED)] * 19
    assert (np.diff(row[:, 0]) >= 0).all()


@pytest.mark.parametrize("content", MaskedContent)
def test_only_masked(content: MaskedContent) -> None:
    """The region around the mask is drawn at full size and put back; outside nothing changes by one bit."""
    noise = np.random.default_rng(3).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    asked = Inpainting(painted((300, 200), (190, 80, 230, 120)), content=content, padding=8)
    prepared = prepare(Image.fromarray(noise), 64, 64, asked)
    region = prepared.region
    assert region is not None
    assert region.width == region.height > 56
    assert prepared.image.size == (64, 64)
    answer = np.asarray(prepared.finished(Image.new("RGB", (64, 64), BLUE)))
    assert answer.shape == noise.shape
    assert (answer[98:102, 208:212] == BLUE).all()
    outside = np.ones((200, 300), bool)
    outside[region.top : region.bottom, region.left : region.right] = False
    assert np.array_equal(answer[outside], noise[outside])


def test_only_original_leaves_the_masked_pixels() -> None:
    """Every other content paints them over, latent noise and nothing too: the VAE sees across the edge."""
    image = Image.new("RGB", (64, 64), RED)
    image.paste("white", (24, 24, 40, 40))
    for content in MaskedContent:
        asked = Inpainting(painted((64, 64), (20, 20, 44, 44)), content=content, only_masked=False)
        kept = prepare(image, 64, 64, asked).image.getpixel((32, 32)) == (255, 255, 255)
        assert kept is (content is MaskedContent.ORIGINAL)


def test_a_blank_mask_makes_only_masked_an_img2img() -> None:
    """With A1111's words; whole pictures keep their original all over."""
    image, blank = Image.new("RGB", (64, 64), RED), Image.new("L", (64, 64))
    drawn = Image.new("RGB", (64, 64), BLUE)
    only = prepare(image, 64, 64, Inpainting(blank))
    assert (only.comment, only.mask, only.finished(drawn)) == (BLANK_MASK, None, drawn)
    whole = prepare(image, 64, 64, Inpainting(blank, only_masked=False))
    assert whole.comment == ""
    assert whole.finished(drawn).getpixel((32, 32)) == RED


def test_a_latent_mask_of_its_own() -> None:
    """Outpainting narrows what is drawn anew, not what is pasted."""
    asked = Inpainting(
        painted((64, 64), (0, 0, 48, 64)), only_masked=False, latent_mask=painted((64, 64), (0, 0, 16, 64))
    )
    prepared = prepare(Image.new("RGB", (64, 64), RED), 64, 64, asked)
    mask = prepared.latent_mask(8, 8)
    assert mask is not None
    assert mask[0].tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    assert prepared.conditioning_mask is not None
    assert prepared.conditioning_mask.getpixel((40, 9)) > 200
    assert prepared.finished(Image.new("RGB", (64, 64), BLUE)).getpixel((40, 9)) == BLUE


def test_colours_are_corrected_before_the_overlay() -> None:
    """To those of what went into the VAE: a grey original takes the colour out of the drawing."""
    asked = Inpainting(painted((64, 64), (0, 0, 32, 64)), only_masked=False)
    prepared = prepare(Image.new("RGB", (64, 64), (90, 90, 90)), 64, 64, asked)
    corrected = prepared.finished(Image.new("RGB", (64, 64), BLUE), color_correction=True)
    red, green, blue = corrected.getpixel((9, 9))
    assert max(red, green, blue) - min(red, green, blue) <= 2
    assert corrected.getpixel((60, 9)) == (90, 90, 90)


def test_a_soft_mask_takes_the_painted_ones_place() -> None:
    """In the region, if only that was drawn; black around it."""
    asked = Inpainting(painted((128, 128), (32, 32, 96, 96)), rounded=False)
    prepared = prepare(Image.new("RGB", (128, 128), RED), 64, 64, asked)
    drawn = Image.new("RGB", (64, 64), BLUE)
    assert prepared.finished(drawn, soft_mask=Image.new("L", (64, 64))).getcolors() == [(128**2, RED)]
    all_new = prepared.finished(drawn, soft_mask=Image.new("L", (64, 64), 255))
    assert (all_new.getpixel((64, 64)), all_new.getpixel((2, 2))) == (BLUE, RED)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 400), st.integers(1, 400)),
    mask_size=st.tuples(st.integers(1, 400), st.integers(1, 400)),
    level=st.sampled_from(["empty", "full", "one pixel"]),
    target=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    content=st.sampled_from(MaskedContent),
    mode=st.sampled_from(ResizeMode),
    only_masked=st.booleans(),
    invert=st.booleans(),
    blur=st.floats(0, 64),
    padding=st.integers(0, 256),
)
def test_no_request_fails(
    size: tuple[int, int],
    mask_size: tuple[int, int],
    level: str,
    target: tuple[int, int],
    content: MaskedContent,
    mode: ResizeMode,
    only_masked: bool,
    invert: bool,
    blur: float,
    padding: int,
) -> None:
    """Whatever is painted on whatever: a picture for the VAE, a mask of its latents, and an answer."""
    mask = Image.new("L", mask_size, 255 if level == "full" else 0)
    if level == "one pixel":
        mask.putpixel((mask_size[0] // 2, mask_size[1] // 2), 255)
    width, height = target[0] * 8, target[1] * 8
    asked = Inpainting(mask, blur, blur, True, content, only_masked, padding, invert)
    prepared = prepare(Image.new("RGB", size, RED), width, height, asked, resize_mode=mode)
    upscaled = mode is ResizeMode.LATENT_UPSCALE and prepared.region is None
    assert prepared.image.size == (size if upscaled else (width, height))
    latent_mask = prepared.latent_mask(*target)
    assert latent_mask is None or latent_mask.shape == target[::-1]
    answer = prepared.finished(Image.new("RGB", (width, height), BLUE))
    assert answer.size == (size if prepared.region else (width, height))
