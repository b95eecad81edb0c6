"""Small files that ask for hours: told before anybody reads them."""

from __future__ import annotations

import io
import struct
import time
import zlib

import pytest
from PIL import Image

from easel.studio.api.networks import small_jpeg
from easel.studio.library.previews import NoPicture, small
from easel.studio.picture_bounds import LONGEST_SIDE, TooManyPieces, check_pieces
from easel.studio.png import NotAPicture, encode, read_texts

RED = Image.new("RGB", (16, 8), "red")


def in_pieces(kind: bytes, count: int) -> bytes:
    """A whole PNG of 16x8 pixels with so many more chunks, each of another name."""
    whole = encode(RED)
    chunks = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for data in (b"%d\0x" % number for number in range(count))
    )
    return whole[:33] + chunks + whole[33:]


def test_a_thousand_texts_are_read_at_once() -> None:
    """What was read so far was gone through for each further text: 20,000 of them took minutes."""
    before = time.process_time()
    assert read_texts(in_pieces(b"tEXt", 900))["899"] == "x"
    assert time.process_time() - before < 1


@pytest.mark.parametrize("kind", [b"tEXt", b"iTXt", b"teSt"])
def test_too_many_pieces_are_no_picture(kind: bytes) -> None:
    """Each is some Python to Pillow: 200,000 in five megabytes were three seconds of everybody's."""
    file = in_pieces(kind, 200_000)
    before = time.process_time()
    with pytest.raises(NotAPicture, match="broken"):
        read_texts(file)
    with pytest.raises(NoPicture):
        small(file)
    assert time.process_time() - before < 0.5


def test_pixels_have_as_many_pieces_as_they_need() -> None:
    """100 MB in pieces of 8 kB, as libpng writes them, pass; so many empty ones do not."""
    piece = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    start = encode(RED)[:33]
    check_pieces(start + piece * 13_000)
    with pytest.raises(TooManyPieces):
        check_pieces(start + piece * 200_000)


def test_cut_short_anywhere_it_is_left_to_the_reader() -> None:
    """No length leads out of the file, and none in a circle."""
    whole = encode(RED, "a cat")
    for length in range(len(whole)):
        check_pieces(whole[:length])
    check_pieces(whole[:33] + b"\xff" * 64)


@pytest.mark.parametrize("size", [(1, LONGEST_SIDE + 1), (LONGEST_SIDE + 1, 1)])
def test_what_is_one_line_is_no_preview(size: tuple[int, int]) -> None:
    """Of Civitai's previews and of covers in models' headers: neither is of the team."""
    file = io.BytesIO()
    Image.new("L", size).save(file, "PNG")
    with pytest.raises(NoPicture):
        small(file.getvalue())
    assert small_jpeg(io.BytesIO(file.getvalue())) is None


@pytest.mark.parametrize("file", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"P6 1 1 255\nabc"])
def test_forty_formats_are_not_tried(file: bytes) -> None:
    """Texts are read of the formats that are drawn over, and of no other: some are programs."""
    with pytest.raises(NotAPicture, match="can be read"):
        read_texts(file)
