"""Previews: fetched by the studio, taken apart and made anew, so that what reaches a browser is a picture.

No browser of the team asks a stranger's server, which would tell it who looks at what. An address is fetched
only after the source itself named it, never on the page's word.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from pathlib import Path

import httpx
from PIL import Image, ImageFilter

from easel.models import FetchPolicy, ModelError, NotFetched, fetch_small
from easel.studio.picture_bounds import check_pieces, is_long

SIDE = 450
"""Pixels of the longer side that is sent to browsers."""
_LARGEST, _MOST_PIXELS, _SECONDS = 20_000_000, 40_000_000, 30.0
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_KNOWN, _KEPT = 3000, 300


class NoPicture(Exception):
    """There is no such preview, or what came is none."""


class Previews:
    """Small WebP pictures by key. Thread-safe."""

    def __init__(self, policy: FetchPolicy) -> None:
        self._policy = policy
        self._lock = threading.Lock()
        self._at_once = threading.BoundedSemaphore(3)
        self._addresses: OrderedDict[str, str] = OrderedDict()
        self._mild: set[str] = set()
        self._made: OrderedDict[tuple[str, bool], bytes] = OrderedDict()

    def keep(self, url: str, mature: bool) -> str:
        """Note an address that a source named, and give its key."""
        key = hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()[:32]
        with self._lock:
            self._addresses[key] = url
            self._addresses.move_to_end(key)
            if mature:
                self._mild.discard(key)
            else:
                self._mild.add(key)
            while len(self._addresses) > _KNOWN:
                old, _ = self._addresses.popitem(last=False)
                self._mild.discard(old)
        return key

    def is_mature(self, key: str) -> bool:
        """Whether the picture is not for everybody; one that nobody knows is not."""
        with self._lock:
            return key not in self._mild

    def get(self, key: str, *, blurred: bool) -> bytes:
        """The preview as WebP. Raises NoPicture."""
        with self._lock:
            url, made = self._addresses.get(key), self._made.get((key, blurred))
        if made is not None:
            return made
        if url is None:
            raise NoPicture("there is no such preview; get the model's information again")
        with self._at_once:
            made = small(self._fetch(url), blurred=blurred)
        with self._lock:
            self._made[key, blurred] = made
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return made

    def of_file(self, path: Path) -> bytes:
        """The picture beside a model of the store, as WebP. Raises NoPicture."""
        try:
            if path.stat().st_size > _LARGEST:
                raise NoPicture("the picture is too large")
            return small(path.read_bytes())
        except OSError as error:
            raise NoPicture(f"the picture cannot be read ({error.strerror})") from None

    def _fetch(self, url: str) -> bytes:
        try:
            return fetch_small(self._policy, url, most=_LARGEST, seconds=_SECONDS)
        except NotFetched as error:
            raise NoPicture(f"the preview is not fetched: {error}") from None
        except (httpx.HTTPError, httpx.InvalidURL, ModelError) as error:
            raise NoPicture(f"the preview cannot be fetched ({type(error).__name__})") from None


def changed_at(picture: Path | None) -> int:
    """When a picture was changed, in nanoseconds; 0 where there is none."""
    try:
        return picture.stat().st_mtime_ns if picture else 0
    except OSError:
        return 0


def small(content: bytes, *, blurred: bool = False) -> bytes:
    """A picture file as a small WebP of its pixels alone. Raises NoPicture for what is none."""
    try:
        check_pieces(content)
        with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
            if picture.width * picture.height > _MOST_PIXELS or is_long(picture):
                raise NoPicture("the preview has too many pixels")
            picture.draft("RGB", (SIDE, SIDE))
            picture.thumbnail((SIDE, SIDE))
            plain = picture.convert("RGB")
    except NoPicture:
        raise
    except Exception as error:
        # Pillow's decoders raise nearly anything for a broken file.
        raise NoPicture(f"the preview is no picture ({type(error).__name__})") from None
    if blurred:
        # Made so small that nothing can be got back from what is sent.
        tiny = plain.resize((max(1, plain.width // 40), max(1, plain.height // 40)))
        plain = tiny.resize(plain.size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(12))
    made = io.BytesIO()
    plain.save(made, "WEBP", quality=82)
    return made.getvalue()
