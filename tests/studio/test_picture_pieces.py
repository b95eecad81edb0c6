"""Files of a megabyte or two that took minutes or all memory to read: they are told by their pieces."""

from __future__ import annotations

import base64
import io
import struct
import time
from collections.abc import Callable

import pytest
from PIL import Image

from easel.studio.api.networks import small_jpeg
from easel.studio.api.requests.sent_picture import BadPicture, decoded
from easel.studio.library.previews import NoPicture, small
from easel.studio.picture_bounds import check_pieces
from easel.studio.png import NotAPicture, read_texts

RED = Image.new("RGB", (16, 8), "red")


def file_of(image: Image.Image, kind: str, **how: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def tags(extra: list[tuple[int, int, int]], room: int, chain: int = 1) -> bytes:
    """A TIFF of 8x8 grey pixels; `extra` are tag, type and count, all with their content at the same place.
    `chain` directories, one behind the other."""
    plain = [(256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
             (274, 3, 1, 6), (277, 3, 1, 1), (278, 3, 1, 8), (279, 4, 1, 64)]  # fmt: skip
    entries = sorted([*plain, *((*one, 8) for one in extra)])
    made = bytearray(b"II*\0" + struct.pack("<I", 72) + bytes(64))
    for left in reversed(range(chain)):
        made += struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *one) for one in entries)
        made += struct.pack("<I", len(made) + 4 if left else 0)
    return bytes(made) + bytes(room)


def in_jpeg(pieces: bytes, *, at: int = 2) -> bytes:
    whole = file_of(RED, "JPEG")
    return whole[:at] + pieces + whole[at:]


def in_gif(blocks: bytes) -> bytes:
    whole = file_of(RED, "GIF")
    at = whole.index(b",", 13)
    return whole[:at] + blocks + whole[at:]


def scanned_again(times: int, size: tuple[int, int]) -> bytes:
    """A progressive JPEG with its last scan, some dozen bytes, so many times more."""
    whole = file_of(Image.new("L", size), "JPEG", progressive=True)
    return whole[:-2] + whole[whole.rindex(b"\xff\xda") : -2] * times + whole[-2:]


def packed_bmp(size: int) -> bytes:
    head = struct.pack("<IIIHHIIIIII", 40, 7000, 7000, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", size, 0, 0, 1078) + head + bytes(1024) + b"\x01\x07" * (size // 2)


SAME = tags([(1000 + tag, 1, 200_000) for tag in range(100)], 200_000)


def avif() -> bytes:
    """Pillow reads the EXIF that it writes into one, and writes it anew where it says how to turn."""
    turned, not_turned = struct.pack("<HHII", 274, 3, 1, 6), struct.pack("<HHII", 275, 3, 1, 6)
    harmless = tags([], len(SAME) - len(tags([], 0))).replace(turned, not_turned)
    return file_of(RED, "AVIF", exif=harmless).replace(harmless, SAME)


BOMBS: dict[str, Callable[[], bytes]] = {
    "JPEG segments": lambda: in_jpeg(b"\xff\xe5\x00\x02" * 500_000),
    "JPEG restarts": lambda: in_jpeg(b"\xff\xd0" * 500_000),
    "JPEG junk": lambda: in_jpeg(bytes(2_000_000)),
    "JPEG padding": lambda: in_jpeg(b"\xff" * 2_000_000),
    "JPEG frames": lambda: in_jpeg((b"\xff\xc0\xff\xff\x08" + bytes(65_532)) * 30),
    "JPEG scans": lambda: scanned_again(10_000, (2000, 2000)),
    "JPEG EXIF": lambda: in_jpeg(
        b"\xff\xe1\xff\xf0Exif\0\0" + tags([(1000 + n, 1, 30_000) for n in range(2000)], 65_000)[:65_512]
    ),
    "JPEG EXIF of names": lambda: in_jpeg((b"\xff\xe1\xff\xfeExif\0\0" + b"Exif\0\0" * 10_921) * 16),
    "GIF comments": lambda: in_gif(b"\x21\xfe\x01a\0" * 200_000),
    "GIF comment": lambda: in_gif(b"\x21\xfe" + b"\x01a" * 500_000 + b"\0"),
    "GIF junk": lambda: in_gif(bytes(2_000_000)),
    "TIFF pages": lambda: tags([], 0, 20_000),
    "TIFF tags of one content": lambda: SAME,
    "TIFF numbers": lambda: tags([(1000, 5, 1_500_000)], 12_000_000),
    "PNG EXIF": lambda: file_of(RED, "PNG", exif=SAME),
    "WebP EXIF": lambda: file_of(RED, "WEBP", exif=b"Exif\0\0" + SAME),
    "AVIF EXIF": avif,
    "BMP runs": lambda: packed_bmp(2_000_000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_small_file_takes_long(name: str) -> None:
    """Each of them took from seven seconds to hours, or gigabytes, of a processor that everybody shares, and
    most while no other thread ran. Drawn over, asked for its texts, or beside a model."""
    file = BOMBS[name]()
    text = base64.b64encode(file).decode()
    before = time.process_time()
    with pytest.raises(BadPicture, match="broken"):
        decoded(text, "init_images")
    if "BMP" not in name:
        with pytest.raises(NotAPicture, match="broken"):
            read_texts(file)
    if name.startswith(("JPEG", "GIF")):
        with pytest.raises(NoPicture):
            small(file)
    assert small_jpeg(io.BytesIO(file)) is None or name.startswith("PNG")
    assert time.process_time() - before < 1


@pytest.mark.parametrize("kind", ["GIF", "TIFF"])
def test_frames_that_nobody_wants_are_not_counted(kind: str) -> None:
    """To say how many there are, Pillow goes through all: four megabytes of TIFF were forty seconds."""
    more = [Image.new("RGB", (16, 8), (0, 0, blue)) for blue in range(200)]
    file = file_of(RED, kind, save_all=True, append_images=more)
    data, size = decoded(base64.b64encode(file).decode(), "init_images")
    assert size == (16, 8)
    with Image.open(io.BytesIO(data)) as found:
        assert found.format == "PNG"
        assert found.convert("RGB").getpixel((0, 0)) == (255, 0, 0)


def test_what_cameras_and_programs_write_passes() -> None:
    """Profiles and descriptions in many segments, progressive ones of 50 megapixels, notes of a maker."""
    exif = Image.Exif()
    exif[0x0110], exif[0x0112] = "a camera", 6
    exif.get_ifd(0x8769).update({0x927C: bytes(40_000), 0x9286: b"ASCII\0\0\0a cat"})
    large = file_of(Image.new("L", (7000, 7000)), "JPEG", progressive=True, exif=exif.tobytes())
    check_pieces(large[:2] + (b"\xff\xe1\xff\xff" + bytes(65_533)) * 200 + large[2:])
    check_pieces(scanned_again(90, (1000, 1000)))
    check_pieces(file_of(Image.new("L", (2000, 9000)), "TIFF", strip_size=1))
    turned = file_of(RED, "JPEG", exif=exif.tobytes())
    assert read_texts(turned)["parameters"] == "a cat"
    assert decoded(base64.b64encode(turned).decode(), "init_images")[1] == (8, 16)


@pytest.mark.parametrize("turn", range(1, 9))
def test_all_eight_ways_to_hold_a_camera(turn: int) -> None:
    """Each is turned as Pillow's own way turns it."""
    from PIL import ImageOps

    image = Image.effect_noise((6, 4), 90)
    exif = Image.Exif()
    exif[0x0112] = turn
    file = file_of(image, "PNG", exif=exif)
    data, _ = decoded(base64.b64encode(file).decode(), "init_images")
    with Image.open(io.BytesIO(data)) as found, Image.open(io.BytesIO(file)) as sent:
        assert ImageOps.exif_transpose(found).tobytes() == ImageOps.exif_transpose(sent).tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "TIFF", "BMP"])
def test_cut_short_anywhere_it_is_left_to_the_reader(kind: str) -> None:
    """No length leads out of the file, and none in a circle."""
    whole = file_of(RED, kind)
    for length in range(len(whole)):
        check_pieces(whole[:length])
        check_pieces(whole[:length] + b"\xff" * 40)
