"""Reads a model from end to end and says whether it still is what came in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from easel.models.errors import FileError, MissingFile
from easel.models.hashes import Digests
from easel.models.header import read_header
from easel.models.model_file import ModelFile
from easel.models.source_errors import WrongHash
from easel.models.store import Store

_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. `problem` is None for a whole file; `known` is False if no hash was known before."""

    file: ModelFile
    sha256: str = ""
    known: bool = True
    problem: FileError | None = None


def verify(store: Store, file: ModelFile, watcher: Callable[[int], None] = lambda done: None) -> Verdict:
    """Check header and hash. A hash that was not known is kept. `watcher` is told the bytes read."""
    try:
        read_header(file.path)
        before = store.record(file.path)
        digests, done = Digests(), 0
        with open(file.path, "rb", buffering=0) as content:
            while block := content.read(_BLOCK):
                digests.update(block)
                done += len(block)
                watcher(done)
        if before.sha256 and before.sha256 != digests.sha256:
            # The time of change is the same, so nobody has written it: the disk has lost something.
            return Verdict(file, digests.sha256, problem=WrongHash(
                file.name, digests.sha256, before.sha256, "its record"))  # fmt: skip
        store.remember(file.path, sha256=digests.sha256, autov3=digests.autov3)
        return Verdict(file, digests.sha256, known=bool(before.sha256))
    except FileError as error:
        return Verdict(file, problem=error)
    except OSError as error:
        return Verdict(file, problem=MissingFile(file.name, f"cannot be read ({error.strerror})"))
