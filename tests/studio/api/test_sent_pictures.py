"""Pictures of every kind that requests carry, as the engine gets them."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from easel.studio.api.requests.sent_picture import BadPicture, decoded


def opened(image: Image.Image, kind: str = "PNG", **how: object) -> Image.Image:
    file = io.BytesIO()
    image.save(file, kind, **how)
    data, size = decoded(base64.b64encode(file.getvalue()).decode(), "init_images")
    found = Image.open(io.BytesIO(data))
    assert found.size == size
    assert found.mode in {"L", "RGB", "RGBA"}
    return found


@pytest.mark.parametrize(
    ("image", "kind", "mode"),
    [
        (Image.new("RGB", (9, 7), "#204080"), "PNG", "RGB"),
        (Image.new("RGB", (9, 7), "#204080"), "JPEG", "RGB"),
        (Image.new("RGB", (9, 7), "#204080"), "WEBP", "RGB"),
        (Image.new("RGB", (9, 7), "#204080"), "BMP", "RGB"),
        (Image.new("RGB", (9, 7), "#204080").quantize(4), "PNG", "RGB"),
        (Image.new("RGB", (9, 7), "#204080").quantize(4), "GIF", "RGB"),
        (Image.new("RGB", (9, 7), "#204080").convert("CMYK"), "JPEG", "RGB"),
        (Image.new("RGBA", (9, 7), "#204080aa"), "PNG", "RGBA"),
        (Image.new("LA", (9, 7), (40, 80)), "PNG", "RGBA"),
        (Image.new("L", (9, 7), 40), "PNG", "L"),
        (Image.new("1", (9, 7), 1), "PNG", "L"),
    ],
)
def test_every_mode_is_one_of_three(image, kind, mode) -> None:
    """Palettes, CMYK, two colours and grey with alpha come to L, RGB or RGBA, with the colours they had."""
    found = opened(image, kind)
    assert found.mode == mode
    before = image.convert(mode).getpixel((0, 0))
    assert np.allclose(np.atleast_1d(found.getpixel((0, 0))), np.atleast_1d(before), atol=6)


def test_sixteen_bits_keep_their_greys() -> None:
    """Half of 65535 is half of 255, not white."""
    image = Image.fromarray(np.full((7, 9), 32768, np.uint16))
    assert opened(image).getpixel((0, 0)) == 128


def test_a_camera_that_was_held_upright() -> None:
    """EXIF says how to turn it: what the engine gets is upright."""
    image = Image.new("RGB", (20, 10), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    assert opened(image, "JPEG", exif=exif).size == (10, 20)


def test_of_an_animation_the_first() -> None:
    """Of several frames the first is drawn over."""
    frames = [Image.new("RGB", (8, 8), color) for color in ("#ff0000", "#00ff00")]
    found = opened(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert found.convert("RGB").getpixel((0, 0)) == (255, 0, 0)
    assert getattr(found, "n_frames", 1) == 1


def test_what_is_transparent_stays_so() -> None:
    """A palette's transparent colour is an alpha channel."""
    image = Image.new("RGB", (8, 8), "#ff0000").quantize(2)
    assert opened(image, "PNG", transparency=0).getpixel((0, 0))[3] == 0


def test_the_field_is_named() -> None:
    """The error says which field it was."""
    with pytest.raises(BadPicture) as caught:
        decoded("aGVsbG8=", "mask")
    assert caught.value.field == "mask"
