"""The pieces of a PNG, JPEG or GIF, counted as Pillow would go through them, and before it does."""

from __future__ import annotations

from easel.studio.picture_tags import TooManyPieces, check_exif_block, check_tags

_CHUNKS, _SIDE_CHUNKS = 100_000, 1_000
"""Of a PNG: of pixels, which are 8 kB each as libpng writes them, and of all else."""
_SAYING, _DRAWING, _FRAMES = 1_000, 100, 4
"""Segments of a JPEG before its first scan: what programs say (APPn, COM), tables, and frames' headers."""
_FREE_SCANS, _SCANNED = 20, 400_000_000
"""Scans of a JPEG at any size, and pixels of all scans: each goes through all of the picture again, and may
be as short as 75 bytes. libjpeg's own progressive pictures have ten."""
_JUNK = 65_536
"""Bytes between segments that are none; Pillow reads them one by one."""
_BLOCKS = 2_000
"""Of a GIF before its first frame. Comments are put together block by block."""


def check_png(data: bytes) -> None:
    """Raises TooManyPieces. What stands behind a chunk that is cut short is left to whoever reads it."""
    at, pixels, others = 8, 0, 0
    while at + 12 <= len(data):
        kind = data[at + 4 : at + 8]
        if kind == b"IEND":
            return
        if kind == b"IDAT":
            pixels += 1
        else:
            others += 1
        if pixels > _CHUNKS or others > _SIDE_CHUNKS:
            raise TooManyPieces
        at += 12 + int.from_bytes(data[at : at + 4])


def check_jpeg(data: bytes) -> None:
    """Raises TooManyPieces, also for tags of its EXIF and of a set of pictures (MPF)."""
    at, junk, saying, drawing, frames, pixels = 2, 0, 0, 0, 0, 0
    exif: list[bytes] = []
    while (found := data.find(b"\xff", at)) >= 0 and found + 1 < len(data):
        junk += found - at
        kind = data[found + 1]
        at = found + 2
        if kind in (0x00, 0xFF):
            junk, at = junk + 1, at - (kind == 0xFF)
        elif kind in (0x01, 0xC8, *range(0xD0, 0xDA)):  # have no content; Pillow goes through them
            drawing += 1
        else:
            length = max(2, int.from_bytes(data[at : at + 2]))
            content, at = data[at + 2 : at + length], at + length
            if kind == 0xDA:
                break
            if kind >= 0xE0:
                saying += 1
            else:
                drawing += 1
            if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xCC):
                frames += 1
                pixels = max(pixels, int.from_bytes(content[1:3]) * int.from_bytes(content[3:5]))
            elif kind == 0xE1 and content.startswith(b"Exif\0\0"):
                exif.append(content[6:])
            elif kind == 0xE2 and content.startswith(b"MPF\0"):
                check_tags(content[4:])
        if junk > _JUNK or saying > _SAYING or drawing > _DRAWING or frames > _FRAMES:
            raise TooManyPieces
    check_exif_block(b"".join(exif))
    scans = 1 + data.count(b"\xff\xda", at)
    if scans > _FREE_SCANS and scans * pixels > _SCANNED:
        raise TooManyPieces


def check_gif(data: bytes) -> None:
    """Raises TooManyPieces. Nothing behind the first frame is looked at: nobody reads it."""
    packed = data[10:11] or b"\0"
    at = 13 + (3 << (packed[0] & 7) + 1 if packed[0] & 0x80 else 0)
    junk = blocks = 0
    while at < len(data) and data[at] not in b",;":
        if data[at] != 0x21:
            junk, at = junk + 1, at + 1
        else:
            at += 2
            blocks += 1
            while at < len(data) and data[at]:
                at += 1 + data[at]
                blocks += 1
                if blocks > _BLOCKS:
                    raise TooManyPieces
            at += 1
        if junk > _JUNK or blocks > _BLOCKS:
            raise TooManyPieces
