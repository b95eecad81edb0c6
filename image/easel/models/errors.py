"""What can be wrong with a model file or with its name.

Every message says what, where, and what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from easel.models.sizes import part_of_whole


class ModelError(Exception):
    """Base of everything that can be wrong with a model file or its name."""


class FileError(ModelError):
    """Something is wrong with one file. `name` is how the message calls it."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


class MissingFile(FileError):
    """The file cannot be opened: gone, a folder, or not readable by this process."""


class NotSafetensors(FileError):
    """The file is something else than safetensors; the message says what it looks like."""


class CutShort(FileError):
    """The file ends before its header says it should."""

    def __init__(self, name: str, have: int, need: int | None) -> None:
        size = part_of_whole(have, need) if need is not None else f"only {have} bytes"
        super().__init__(name, f"the file is cut short: {size}; download it again")
        self.have = have
        self.need = need


class LyingHeader(FileError):
    """The header contradicts itself or the file."""


class UnknownArchitecture(FileError):
    """A model of a kind that the studio does not draw with (yet)."""


class WrongKind(FileError):
    """A model file of another kind than wanted: the message says what it is and where it belongs."""

    def __init__(self, name: str, what: str, folder: str | None, wanted: str = "a checkpoint") -> None:
        belongs = f"; it belongs in models/{folder}" if folder else ""
        super().__init__(name, f"this is {what}, not {wanted}{belongs}")
        self.folder = folder


class Incomplete(FileError):
    """The file holds the right kind of model, but parts of it are missing or of the wrong shape."""


class UnknownModel(ModelError):
    """No file of this kind has this name, or several have."""

    def __init__(self, kind: str, name: str, known: Iterable[str], why: str = "") -> None:
        names = list(known)
        shown = name if len(name) <= 120 else name[:117] + "..."
        near = get_close_matches(name[:200], names, n=3, cutoff=0.4)
        if why:
            hint = f": {why}"
        elif near:
            hint = f"; did you mean {', '.join(repr(one) for one in near)}?"
        elif names:
            hint = f"; there is {', '.join(repr(one) for one in names[:5])}" + (
                ", …" if len(names) > 5 else ""
            )
        else:
            hint = "; there is none yet"
        super().__init__(f"{kind} not found: {shown!r}{hint}")
