"""Tags of a TIFF, and of EXIF, which is one: counted before Pillow reads them.

Each of them says where its content lies and how long it is, and Pillow copies it: 500 tags that all name the
same two megabytes were a gigabyte of memory. Each directory says where the next one is, or that it is itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_DIRECTORIES, _TAGS = 1_000, 10_000
_NUMBERS = 1_000_000
"""In all tags together, texts and bytes aside: each becomes an object of Python's, and is rarely needed."""
_SLACK = 65_536
_MOST_EXIF = 4_000_000
"""Bytes. A comment in it may hold a long prompt."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
"""Bytes of one value of each type (TIFF 6.0, and LONG8 of BigTIFF)."""
_PLAIN = (1, 2, 6, 7)
_EXIF_TAG, _GPS_TAG, _PAGES_TAG = 0x8769, 0x8825, 0x014A
_STARTS = (b"MM\0*", b"II*\0", b"MM*\0", b"II\0*", b"MM\0+", b"II+\0")


class TooManyPieces(ValueError):
    """A picture's file is in so many pieces that reading it is the harm."""


def check_tags(data: bytes) -> None:
    """Of a TIFF; whatever begins otherwise passes. Raises TooManyPieces."""
    if data.startswith(_STARTS):
        _Tags(data).check()


def check_exif_block(data: bytes) -> None:
    """Of EXIF without its name in front. Raises TooManyPieces."""
    # Pillow takes the name away as often as it is there, each time with a copy of the rest.
    if len(data) > _MOST_EXIF or data.startswith(b"Exif\0\0"):
        raise TooManyPieces
    check_tags(data)


def check_exif(image: Image) -> None:
    """Of a picture that is open, before its EXIF is asked for. Raises TooManyPieces, ValueError."""
    said = image.info.get("exif")
    profile = image.info.get("Raw profile type exif")  # as ImageMagick writes it into a PNG, in hex
    if said is None and isinstance(profile, str):
        said = bytes.fromhex("".join(profile[: 3 * _MOST_EXIF].split("\n")[3:]))
    if isinstance(said, bytes):
        check_exif_block(said.removeprefix(b"Exif\0\0"))


class _Tags:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._order: str = "big" if data.startswith(b"MM") else "little"
        self._wide = b"+" in data[2:4]
        self._tags = self._numbers = self._bytes = 0

    def check(self) -> None:
        """All directories that can be come to. Raises TooManyPieces."""
        waiting, seen = [self._number(8, 8) if self._wide else self._number(4, 4)], set[int]()
        while waiting:
            at = waiting.pop()
            if at in seen or not 0 < at < len(self._data):
                continue
            seen.add(at)
            if len(seen) > _DIRECTORIES:
                raise TooManyPieces
            waiting += self._directory(at)

    def _directory(self, at: int) -> list[int]:
        """Where others are."""
        count_size, entry, offset = (8, 20, 8) if self._wide else (2, 12, 4)
        count = self._number(at, count_size)
        at += count_size
        end = at + count * entry
        self._tags += min(count, (len(self._data) - at) // entry + 1)
        if self._tags > _TAGS:
            raise TooManyPieces
        others = []
        while at < min(end, len(self._data)):
            tag, kind = self._number(at, 2), self._number(at + 2, 2)
            values = self._number(at + 4, offset)
            place = at + 4 + offset
            self._count(kind, values, offset, place)
            if tag in (_EXIF_TAG, _GPS_TAG, _PAGES_TAG):
                others.append(self._number(place, offset))
            at += entry
        return [*others, self._number(end, offset)]

    def _count(self, kind: int, values: int, short: int, place: int) -> None:
        size = values * _SIZES.get(kind, 0)
        if size > short:
            left = max(0, len(self._data) - self._number(place, short))
            self._bytes += min(size, left)
            if kind not in _PLAIN and size <= left:
                self._numbers += values
        # No two tags share their content; a little is for what programs get wrong.
        if self._bytes > len(self._data) + _SLACK or self._numbers > _NUMBERS:
            raise TooManyPieces

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self._data[at : at + size], self._order)  # type: ignore[arg-type]
