"""PNG files and the texts in them."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from easel.studio.infotext import parse
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


def _png(*, behind: bool, exif: Image.Exif | None = None, **texts: str) -> bytes:
    """A PNG with texts before its pixels or behind them."""
    info = PngInfo()
    for name, text in texts.items():
        info.add_itxt(name, text, zip=behind) if behind else info.add_text(name, text)
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=info, **({"exif": exif} if exif else {}))
    data = file.getvalue()
    if not behind:
        return data
    # Chunks of text go behind the last IDAT, where PNG allows them.
    head, chunks, texts_, position = data[:8], b"", b"", 8
    while position < len(data):
        length = int.from_bytes(data[position : position + 4])
        chunk, kind = data[position : position + 12 + length], data[position + 4 : position + 8]
        if kind == b"iTXt":
            texts_ += chunk
        else:
            chunks += texts_ + chunk if kind == b"IEND" else chunk
        position += 12 + length
    return head + chunks


def test_text_behind_the_pixels() -> None:
    """PNG allows texts behind IDAT, and some programs write them there."""
    data = _png(behind=True, parameters="a cat\nSteps: 20")
    assert data.index(b"IDAT") < data.index(b"parameters")
    assert read_texts(data)["parameters"] == "a cat\nSteps: 20"


def test_novelais_own_texts() -> None:
    """`Description` and the JSON of `Comment` become an infotext; broken JSON is passed over."""
    comment = {
        "steps": 28,
        "sampler": "k_euler_ancestral",
        "seed": 7,
        "scale": 11.0,
        "uc": "lowres",
        "x": [1],
    }
    texts = {"Software": "NovelAI", "Description": "a girl, red hat", "Comment": json.dumps(comment)}
    found = parse(read_texts(_png(behind=False, **texts))["parameters"])
    assert (found.prompt, found.negative_prompt) == ("a girl, red hat", "lowres")
    assert found.request() == {
        "prompt": "a girl, red hat", "negative_prompt": "lowres", "steps": 28, "seed": 7, "cfg_scale": 11.0,
        "sampler_name": "k_euler_ancestral", "width": 8, "height": 8,
        "override_settings": {"CLIP_stop_at_last_layers": 2},
    }  # fmt: skip
    for broken in ("", "{", "[]", '"x"', "null"):
        assert "parameters" not in read_texts(_png(behind=False, **texts | {"Comment": broken}))


def test_comments_of_other_formats() -> None:
    """A GIF's and a JPEG's comment, and UserComment beside the EXIF block, where some programs put it."""
    text = "a cat\nSteps: 20, Sampler: Euler, Seed: 1"
    for kind in ("GIF", "JPEG"):
        file = io.BytesIO()
        Image.new("RGB", (8, 8)).save(file, kind, comment=text.encode())
        assert read_texts(file.getvalue())["parameters"] == text
    for kind in ("JPEG", "PNG", "WEBP"):
        exif, file = Image.Exif(), io.BytesIO()
        exif[0x9286] = b"UNICODE\0" + text.encode("utf-16-be")
        Image.new("RGB", (8, 8)).save(file, kind, exif=exif)
        assert read_texts(file.getvalue())["parameters"] == text, kind


def test_reading_decodes_no_pixels() -> None:
    """A file of some kilobytes that says it is 30,000 pixels wide is read for its texts alone."""
    data = bytearray(_png(behind=True, Title="x"))
    data[16:24] = (60_000).to_bytes(4) + (1_400).to_bytes(4)
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    tracemalloc.start()
    assert read_texts(bytes(data))["Title"] == "x"
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


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
