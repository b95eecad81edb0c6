"""Who may read what lies below EASEL_HOME: its owner alone. New files are made so, by the umask of every
process that writes there; here what older versions and other programs left is mended."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

_OTHERS = 0o077
MOST = 200_000
"""Entries that are looked at in one start: a store of this size takes some seconds."""


@dataclass
class Mended:
    """What was found: how many entries others could use, and whether all were looked at."""

    seen: int = 0
    closed: int = 0
    whole: bool = True


def mend(
    folder: Path, *, skip: Collection[str] = (), most: int = MOST, stop: Callable[[], bool] = lambda: False
) -> Mended:
    """Take all rights of others off `folder` and what is below it; `skip` names entries of `folder` itself.

    Never beyond it: no symbolic link is followed, no mount point crossed, and no file touched that has a
    second name, which may lie elsewhere. What belongs to somebody else is left as it is.
    """
    found, owner = Mended(), os.geteuid()
    try:
        device = folder.stat(follow_symlinks=False).st_dev
    except FileNotFoundError:
        return found
    top = True
    for _, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        if top:
            folders[:] = [name for name in folders if name not in skip]
            files = [name for name in files if name not in skip]
            top = False
        here = os.fstat(descriptor)
        if here.st_dev != device:
            folders.clear()
            continue
        _close(descriptor, here, owner, found)
        for name in files:
            found.seen += 1
            _close_file(name, descriptor, owner, found)
        found.seen += len(folders)
        if found.seen > most or stop():
            found.whole = False
            return found
    return found


def _close_file(name: str, folder: int, owner: int, found: Mended) -> None:
    try:
        entry = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(entry.st_mode) or not entry.st_mode & _OTHERS or entry.st_nlink > 1:
            return
        # By its descriptor: between a look and a change of mode by name, a link could take its place.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return  # it is gone, or not ours to read
    try:
        _close(descriptor, os.fstat(descriptor), owner, found)
    finally:
        os.close(descriptor)


def _close(descriptor: int, entry: os.stat_result, owner: int, found: Mended) -> None:
    if (
        entry.st_uid != owner
        or not entry.st_mode & _OTHERS
        or (stat.S_ISREG(entry.st_mode) and entry.st_nlink > 1)
    ):
        return
    try:
        os.fchmod(descriptor, stat.S_IMODE(entry.st_mode) & ~_OTHERS)
        found.closed += 1
    except OSError:
        return  # a file system that keeps no modes, or keeps them itself
