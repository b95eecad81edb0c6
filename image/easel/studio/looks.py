"""What a style or a preset looks like: a small picture that was drawn with it, kept under its name."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from pathlib import Path

from easel.models import write_whole
from easel.studio.outputs import NotSaved

SIDE = 128
"""Pixels of the longer side: they are shown at 24, and close by at a hand's width."""
MOST_BYTES = 30_000
_QUALITIES = (80, 60, 40, 20)
KEY = re.compile(r"[0-9a-f]{32}")


class Looks:
    """Those in one folder, as WebP files. Safe to use from any thread, and beside other replicas."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, name: str, picture: Path) -> None:
        """Let `name` look like a picture. Raises NotSaved; OSError or ValueError for what is no picture."""
        content = _small(picture)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._path(name), content)
        except OSError as error:
            raise NotSaved(f"the look could not be kept: {error.strerror or error}") from error

    def forget(self, name: str) -> None:
        """Whatever was called so is gone."""
        with contextlib.suppress(OSError):
            self._path(name).unlink(missing_ok=True)

    def rename(self, name: str, new: str) -> None:
        """It is called otherwise from now on."""
        if new != name:
            with contextlib.suppress(OSError):
                self._path(name).rename(self._path(new))

    def key(self, name: str) -> str | None:
        """What to ask `file` for, with the time of the look behind it; None where there is none."""
        try:
            changed = self._path(name).stat().st_mtime_ns
        except OSError:
            return None
        return f"{_key(name)}?at={changed // 1_000_000}"

    def file(self, key: str) -> bytes | None:
        """The look of this key."""
        if not KEY.fullmatch(key):
            return None
        try:
            return (self._folder / f"{key}.webp").read_bytes()
        except OSError:
            return None

    def _path(self, name: str) -> Path:
        return self._folder / f"{_key(name)}.webp"


def _key(name: str) -> str:
    """A name is anything that prints; a file's name is not."""
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:32]


def _small(picture: Path) -> bytes:
    from PIL import Image

    with Image.open(picture) as image:
        image.thumbnail((SIDE, SIDE))
        plain = image.convert("RGB")
    for quality in _QUALITIES:
        file = io.BytesIO()
        plain.save(file, "WEBP", quality=quality)
        if file.tell() <= MOST_BYTES:
            break
    return file.getvalue()
