"""What a picture is called towards its owner: `2026-11-29/00012-123.png`."""

from __future__ import annotations

from typing import NamedTuple

from easel.studio.gallery.errors import BadPictureId
from easel.studio.outputs import DAY, PICTURE


class PictureId(NamedTuple):
    """Sorts from the oldest to the newest."""

    day: str
    number: int
    name: str

    @classmethod
    def of(cls, day: str, name: str) -> PictureId:
        """Raises BadPictureId for what no picture is ever called; nothing else ever becomes a path."""
        found = PICTURE.fullmatch(name)
        if found is None or not DAY.fullmatch(day):
            raise BadPictureId(
                f"{f'{day}/{name}'[:80]!r} is no picture: they are called like 2026-11-29/00012-123.png"
            )
        return cls(day, int(found[1]), name)

    @classmethod
    def parse(cls, text: str) -> PictureId:
        """Raises BadPictureId."""
        day, _, name = text.partition("/")
        return cls.of(day, name)

    def __str__(self) -> str:
        return f"{self.day}/{self.name}"
