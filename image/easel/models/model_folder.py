"""A model that is a folder: which files are it, in what state they are, and one SHA-256 for all of them.

The hash is that of the lines that `sha256sum` prints for the files, in the order of their names' bytes, so
that anybody can compute it in the folder without easel:

    find . -type f -not -path '*/.*' -printf '%P\\n' | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum

Hidden files are none of it: parts of downloads, what a hub's client keeps, what a file server leaves behind.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from easel.models.errors import FileError
from easel.models.records import FileState, state_of
from easel.models.walking import walk

_BLOCK = 1 << 22
# A folder with more is no model but somebody's home.
_MOST = 10_000


class OddFolder(FileError):
    """The folder holds what no hash can name: links, or names with line breaks."""


def files_of(folder: Path) -> list[str]:
    """Names of the files below `folder`, with "/", in the order of their bytes. Raises OddFolder, OSError."""
    found: list[str] = []
    for name in _walk(folder, folder.name):
        found.append(name)
        if len(found) > _MOST:
            raise OddFolder(folder.name, f"the folder holds more than {_MOST} files; a model has some dozens")
    return sorted(found, key=os.fsencode)


def state_of_model(path: Path) -> FileState:
    """The state of a model's file, or of all files of its folder. Raises OSError."""
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        return state_of(status)
    total, top = 0, len(os.fspath(path))
    listing = hashlib.sha256()
    for here, folders, names in walk(path, most=_MOST):
        folders[:] = [one for one in folders if not one.startswith(".")]
        for name in names:
            if name.startswith("."):
                continue
            size, mtime_ns, inode = state_of(os.lstat(here / name))
            total += size
            listing.update(os.fsencode(f"{os.fspath(here)[top:]}/{name}\0{size}\0{mtime_ns}\0{inode}\0"))
    # In the place of the time of change: a folder's own does not tell of a file that was written over.
    return total, int.from_bytes(listing.digest()[:7], "big"), status.st_ino


def hash_of_folder(folder: Path, read: Callable[[bytes], object] = lambda block: None) -> str:
    """The SHA-256 of the folder. `read` is given each block, and may raise. Raises OddFolder, OSError."""
    whole = hashlib.sha256()
    for name in files_of(folder):
        one = hashlib.sha256()
        with open(folder / name, "rb", buffering=0) as file:
            while block := file.read(_BLOCK):
                read(block)
                one.update(block)
        whole.update(f"{one.hexdigest()}  ".encode() + os.fsencode(name) + b"\n")
    return whole.hexdigest()


def _walk(folder: Path, shown: str) -> Iterator[str]:
    for here, folders, names in walk(folder):
        folders[:] = [one for one in folders if not one.startswith(".")]
        for name in (*folders, *names):
            if name.startswith("."):
                continue
            path = here / name
            if path.is_symlink():
                raise OddFolder(
                    shown,
                    f"{name[:80]!r} in it is a link, so nobody can say what it is; copy it with `cp -rL`",
                )
            if not (path.is_file() or path.is_dir()):
                continue
            if "\n" in name or "\\" in name:
                raise OddFolder(shown, f"{name[:80]!r} in it has a letter that no list of files can hold")
        inside = [here / name for name in names if not name.startswith(".")]
        yield from (path.relative_to(folder).as_posix() for path in inside if path.is_file())
