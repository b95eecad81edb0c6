"""Pictures as files, and their infotexts back out of them."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from easel.studio.formats import PictureFormat, TooLargeForFormat, encode
from easel.studio.png import read_texts

RED = Image.new("RGB", (16, 8), "red")
PROMPTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@pytest.mark.parametrize("picture_format", PictureFormat)
@given(prompt=PROMPTS)
def test_an_infotext_comes_back(picture_format: PictureFormat, prompt: str) -> None:
    """From each format, any alphabet; by the ASCII of the last line the reader knows UTF-16's byte order."""
    text = f"{prompt}\nSteps: 20, Sampler: Euler a"
    assert read_texts(encode(RED, text, picture_format))["parameters"] == text


@pytest.mark.parametrize("picture_format", PictureFormat)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_a_file_is_what_its_format_says(picture_format: PictureFormat, mode: str) -> None:
    """With or without text, whatever the picture's mode."""
    for text in ("", "a cat"):
        with Image.open(io.BytesIO(encode(RED.convert(mode), text, picture_format))) as file:
            assert (file.get_format_mimetype(), file.size) == (picture_format.media_type, (16, 8))


def test_the_comment_is_what_piexif_writes_for_a1111() -> None:
    """To the byte: `piexif.dump({"Exif": {0x9286: UserComment.dump("Ä", encoding="unicode")}})`."""
    with Image.open(io.BytesIO(encode(RED, "Ä", PictureFormat.JPEG))) as file:
        assert file.info["exif"].hex() == (
            "457869660000" "4d4d002a00000008" "0001" "876900040000000" "10000001a" "00000000"
            "0001" "9286" "0007" "0000000a" "0000002c" "00000000" "554e49434f444500" "00c4"
        )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("png", PictureFormat.PNG), ("jpg", PictureFormat.JPEG), ("JPEG", PictureFormat.JPEG),
        (".webp", PictureFormat.WEBP),
    ],
)  # fmt: skip
def test_names_of_formats(name: str, expected: PictureFormat) -> None:
    """As `samples_format` and people write them."""
    assert PictureFormat(name) is expected


def test_an_unknown_format_is_refused() -> None:
    """By its name."""
    with pytest.raises(ValueError, match="avif"):
        PictureFormat("avif")


def test_quality_and_lossless() -> None:
    """Less quality, fewer bytes; a lossless WebP is the picture itself."""
    image = Image.effect_noise((64, 64), 80).convert("RGB")
    for picture_format in (PictureFormat.JPEG, PictureFormat.WEBP):
        sizes = [len(encode(image, "", picture_format, quality=quality)) for quality in (20, 80)]
        assert sizes[0] < sizes[1]
    with Image.open(io.BytesIO(encode(image, "", PictureFormat.WEBP, lossless=True))) as file:
        assert file.convert("RGB").tobytes() == image.tobytes()


def test_a_text_too_long_for_a_jpeg_is_left_out() -> None:
    """The picture counts more; PNG and WebP hold it."""
    text = "x" * 40_000
    for picture_format in PictureFormat:
        kept = read_texts(encode(RED, text, picture_format)).get("parameters")
        assert kept == (None if picture_format is PictureFormat.JPEG else text)


def test_a_side_too_long_for_a_format_is_refused() -> None:
    """With what can be had instead."""
    with pytest.raises(TooLargeForFormat, match=r"16384×1 cannot be a webp file; allowed: 16383 .* png"):
        encode(Image.new("RGB", (16_384, 1)), "", PictureFormat.WEBP)
