"""Every walk of folders: each folder is seen once, and there is an end to it.

A link to its own folder (`models/Lora/l -> .`) made a listing go on for ever. A folder is known by its device
and inode, which no spelling of its path changes; links are followed after all that is really there, so that
a link takes no file's own name away.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

DEEPEST = 64
"""Levels of folders. People have five; paths that the kernel takes have two thousand."""
MOST = 1_000_000
"""Names in all folders together."""


def walk(
    top: Path, *, follow: bool = False, deepest: int = DEEPEST, most: int = MOST
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Each folder from `top` on, as (folder, names of folders in it, names of all else), both sorted.

    As with `os.walk`, what is taken out of the list of folders is not entered, and what cannot be read is
    empty. `follow` enters linked folders too, in the order of their names once all others were seen. What is
    deeper than `deepest` or after `most` names is left out, with a line in the log.
    """
    seen: set[tuple[int, int]] = set()
    here, linked = [(top, 0)], deque[tuple[Path, int]]()
    named = 0
    while here or linked:
        folder, depth = here.pop() if here else linked.popleft()
        if not _is_new(folder, seen):
            continue
        folders, names = _read(folder)
        named += len(folders) + len(names)
        if named > most:
            log.warning("folder left out: it holds too many names", folder=str(top), most=most)
            return
        yield folder, folders, names
        if depth >= deepest:
            if folders:
                log.warning("folders left out: they lie too deep", folder=str(folder), deepest=deepest)
            continue
        real = []
        for name in folders:
            path = folder / name
            if not path.is_symlink():
                real.append((path, depth + 1))
            elif follow:
                linked.append((path, depth + 1))
        here += reversed(real)


def _is_new(folder: Path, seen: set[tuple[int, int]]) -> bool:
    try:
        status = folder.stat()
    except (OSError, ValueError):
        return False
    key = (status.st_dev, status.st_ino)
    if key in seen:
        return False
    seen.add(key)
    return True


def _read(folder: Path) -> tuple[list[str], list[str]]:
    folders: list[str] = []
    names: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                (folders if _is_folder(entry) else names).append(entry.name)
    except OSError:
        pass  # taken away, or not ours to read: what was told until then
    return sorted(folders), sorted(names)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
