"""What a team's models may take together, however they come: uploads, downloads, `easel models add`, `sync`.

What is on its way counts with the size that it will have, so that two that come at once do not both find
room for one. What lies in the store itself counts; a folder of A1111's that is linked in is not the team's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import structlog

from easel.models.errors import FileError
from easel.models.fetch.partial_journal import part_of, read_journal
from easel.models.sizes import gigabytes
from easel.models.upload.journal import UploadJournals, UploadState
from easel.models.walking import walk
from easel.remark import remark

log = structlog.get_logger(__name__)

VARIABLE = "EASEL_QUOTA"
"""Bytes; `infra` writes it into each endpoint's environment (`storage.quota` of the spec)."""
_PART = ".part"


class OverQuota(FileError):
    """The team's models would take more than its quota. All in bytes."""

    def __init__(self, name: str, size: int, used: int, quota: int) -> None:
        super().__init__(
            name,
            remark(
                "over_quota",
                "it has {size}, but of the team's quota of {quota} for models {left} are left: remove models "
                "that nobody uses (`easel models remove`, `easel files rm`), or raise `storage.quota` in the "
                "stack file",
                size=gigabytes(size),
                quota=gigabytes(quota),
                left=gigabytes(max(0, quota - used)),
            ),
        )


class StoreQuota:
    """The quota of the store at `root`. `limit` in bytes, None for none."""

    def __init__(self, root: Path, limit: int | None) -> None:
        self._root, self.limit = root, limit

    def check(self, name: str, size: int, *, besides: Path | None = None) -> None:
        """See whether a file of `size` bytes may come, in the place of `besides`. Raises OverQuota."""
        if self.limit is None:
            return
        used = self.used(besides)
        if used + size > self.limit:
            raise OverQuota(name, size, used, self.limit)

    def room(self, besides: Path) -> int | None:
        """Bytes that may come in the place of the file `besides`; None for any number."""
        return None if self.limit is None else max(0, self.limit - self.used(besides))

    def used(self, besides: Path | None = None) -> int:
        """Bytes that models and what lies beside them take, and what is on its way will take.

        Without the file `besides`, and what has come of it.
        """
        left_out = {one for one in (besides, besides and part_of(besides)) if one}
        total = 0
        for here, folders, names in walk(self._root):
            folders[:] = [one for one in folders if one != ".easel"]
            for name in names:
                if (path := here / name) not in left_out:
                    with suppress(OSError):
                        total += _size(path)
        uploads = UploadJournals(self._root / ".easel" / "uploads").all()
        return total + sum(one.length for one in uploads if one.state is UploadState.OPEN)


def quota_of(environment: Mapping[str, str]) -> int | None:
    """The quota in bytes that EASEL_QUOTA says, None for none."""
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return None
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return int(text)
    log.warning("quota ignored: it is no number of bytes", variable=VARIABLE, value=text[:40])
    return None


def quota_in(config: Path) -> int | None:
    """The quota that an endpoint's configuration tells its studio, in bytes; None where it says none."""
    try:
        found = json.loads(config.read_text(encoding="utf-8"))
        told = found["env"]
        return quota_of({VARIABLE: str(told[VARIABLE])})
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _size(path: Path) -> int:
    """What it takes or will take. Locks and journals come and go. Raises OSError."""
    if not path.name.startswith("."):
        return os.lstat(path).st_size
    if not path.name.endswith(_PART):
        return 0
    journal = read_journal(path.with_name(path.name[1 : -len(_PART)]))
    return max(os.lstat(path).st_size, journal.size or 0 if journal is not None else 0)
