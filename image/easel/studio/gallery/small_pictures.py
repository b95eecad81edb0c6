"""Small versions of pictures for a gallery's tiles: made once, kept beside the day."""

from __future__ import annotations

import contextlib
import io
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import structlog

from easel.models import write_whole
from easel.studio.outputs import small_of

log = structlog.get_logger(__name__)

SIDE = 320
"""Pixels of the longer side."""
_QUALITY = 80
_AT_ONCE = 2
"""More would be in the way of what draws."""
_AHEAD = 64
"""Pictures just saved that wait for their small version; of more, it is made when somebody looks."""


class SmallPictures:
    """Thread-safe. One picture is never made by two threads at once."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="small-pictures")
        self._making: dict[Path, Future[bytes]] = {}
        self._lock = threading.Lock()

    def get(self, picture: Path) -> Future[bytes]:
        """A WebP file of at most `SIDE` pixels a side. The future raises OSError if the picture is gone, and
        ValueError if it is none."""
        with self._lock:
            if future := self._making.get(picture):
                return future
            future = self._making[picture] = self._pool.submit(_small, picture)
        future.add_done_callback(lambda _: self._forget(picture))
        return future

    def prepare(self, picture: Path) -> None:
        """Make it soon, unless there is much else to do."""
        if len(self._making) < _AHEAD:
            self.get(picture)

    def _forget(self, picture: Path) -> None:
        with self._lock:
            self._making.pop(picture, None)


def _small(picture: Path) -> bytes:
    path = small_of(picture)
    saved = picture.stat().st_mtime
    with contextlib.suppress(OSError):
        # A number can come again after its picture was deleted.
        if path.stat().st_mtime >= saved:
            return path.read_bytes()
    content = _made(picture)
    try:
        write_whole(path, content)
    except OSError as error:  # a full disk costs the work, not the picture
        log.warning("small picture not kept", picture=picture.name, reason=error.strerror)
    return content


def _made(picture: Path) -> bytes:
    from PIL import Image

    try:
        with Image.open(picture, formats=("PNG", "JPEG", "WEBP")) as image:
            image.draft("RGB", (2 * SIDE, 2 * SIDE))
            image.thumbnail((SIDE, SIDE), reducing_gap=2.0)
            small = image.convert("RGB")
    except FileNotFoundError:
        raise
    except Exception as e:  # Pillow's readers raise whatever a broken file makes them stumble over
        raise ValueError(f"{picture.name} is a broken picture: {type(e).__name__}") from e
    file = io.BytesIO()
    small.save(file, "WEBP", quality=_QUALITY, method=2)
    return file.getvalue()
