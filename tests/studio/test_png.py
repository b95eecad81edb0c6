"""PNG files and the texts in them."""

from __future__ import annotations

import base64
import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from easel.studio.png import NotAPicture, encode, encode_preview, from_base64, read_texts

RED = Image.new("RGB", (16, 8), "red")


@pytest.mark.parametrize("text", ["plain", "größer, ★ 日本語", "two\nlines", "x" * 100_000])
def test_parameters_survive(text: str) -> None:
    """What is put into a PNG's `parameters` comes back, Latin-1 or not."""
    data = encode(RED, text)
    assert read_texts(data) == {"parameters": text}
    assert Image.open(io.BytesIO(data)).getpixel((3, 3)) == (255, 0, 0)


def test_exif_comment_of_a_jpeg() -> None:
    """A1111 writes a JPEG's parameters as a UTF-16 comment; both byte orders are read."""
    for encoding in ("utf-16-be", "utf-16-le"):
        file = io.BytesIO()
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + "a cat\nSteps: 20".encode(encoding)
        RED.save(file, "JPEG", exif=exif)
        assert read_texts(file.getvalue()) == {"parameters": "a cat\nSteps: 20"} | {
            key: value for key, value in read_texts(file.getvalue()).items() if key != "parameters"
        }


def test_base64_bare_and_as_uri() -> None:
    """Clients send pictures either way."""
    bare = base64.b64encode(encode(RED)).decode()
    assert from_base64(bare) == from_base64(f"data:image/png;base64,{bare}") == encode(RED)


@pytest.mark.parametrize("text", ["", "data:,", "!", "http://127.0.0.1/x.png", "https://example.com/x.png"])
def test_what_is_no_picture_is_told(text: str) -> None:
    """Empty, broken and addresses are refused with a reason; nothing is fetched."""
    with pytest.raises(NotAPicture):
        from_base64(text)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_picture_or_an_error(data: bytes) -> None:
    """Broken files end in NotAPicture and in nothing else."""
    for file in (data, encode(RED, "x")[: len(data)] + data, b"\x89PNG\r\n\x1a\n" + data):
        with contextlib.suppress(NotAPicture):
            read_texts(file)


def test_previews_are_small() -> None:
    """A preview is at most 512 pixels wide, whatever is drawn."""
    shown = Image.open(io.BytesIO(encode_preview(Image.new("RGB", (2048, 1024)))))
    assert shown.size == (512, 256)
