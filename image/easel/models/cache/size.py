"""How large the cache may become."""

from __future__ import annotations

import os
import re
from pathlib import Path

from easel.models.errors import ModelError

DEFAULT = "50%"
# Never filled to the brim: who shares the disk (logs, images) gets no ENOSPC from a cache.
SPARE = 0.05
_UNITS = {"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12}


class BadCacheSize(ModelError):
    """The setting is no size."""


def cache_size(text: str, folder: Path) -> int:
    """Bytes that `text` allows: "200GB", "500MB", "30%" of the disk of `folder`, "0" for no cache.

    Raises BadCacheSize, OSError for a folder that is not there.
    """
    plain = (text.strip() or DEFAULT).lower()
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%|[kmgt]?b?)", plain)
    if match is None or (match[2] == "%" and float(match[1]) > 100):
        raise BadCacheSize(
            f"EASEL_CACHE_SIZE is {text!r}; allowed: bytes as 200GB or 500MB, or a share of the disk as 50%"
        )
    if match[2] == "%":
        disk = os.statvfs(folder)
        return int(disk.f_blocks * disk.f_frsize * float(match[1]) / 100)
    unit = match[2] if match[2] in _UNITS else f"{match[2]}b"
    return int(float(match[1]) * _UNITS[unit])


def room_on_disk(folder: Path) -> int:
    """Bytes that may still be written there."""
    disk = os.statvfs(folder)
    return int((disk.f_bavail - disk.f_blocks * SPARE) * disk.f_frsize)
