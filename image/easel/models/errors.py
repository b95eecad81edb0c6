"""What can be wrong with a model file or with its name.

Every message says what, where, and what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from easel.models.sizes import part_of_whole
from easel.remark import remark


class ModelError(Exception):
    """Base of everything that can be wrong with a model file or its name."""


class FileError(ModelError):
    """Something is wrong with one file. `name` is how the message calls it."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(remark("of_file", "{name}: {problem}", name=name, problem=problem))
        self.name = name
        self.problem = problem


class MissingFile(FileError):
    """The file cannot be opened: gone, a folder, or not readable by this process."""


class NotSafetensors(FileError):
    """The file is something else than safetensors; the message says what it looks like."""


class CutShort(FileError):
    """The file ends before its header says it should."""

    def __init__(self, name: str, have: int, need: int | None) -> None:
        size = (
            part_of_whole(have, need) if need is not None else remark("only_bytes", "only {n} bytes", n=have)
        )
        words = "the file is cut short: {size}; download it again"
        super().__init__(name, remark("cut_short", words, size=size))
        self.have = have
        self.need = need


class LyingHeader(FileError):
    """The header contradicts itself or the file."""


class UnknownArchitecture(FileError):
    """A model of a kind that the studio does not draw with (yet)."""


class WrongKind(FileError):
    """A model file of another kind than wanted: the message says what it is and where it belongs."""

    def __init__(self, name: str, what: str, folder: str | None, wanted: str = "a checkpoint") -> None:
        belongs = remark("belongs_in", "; it belongs in models/{folder}", folder=folder) if folder else ""
        words = "this is {what}, not {wanted}{belongs}"
        super().__init__(name, remark("wrong_kind", words, what=what, wanted=wanted, belongs=belongs))
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
            hint = remark("model_why", ": {why}", why=why)
        elif near:
            hint = remark("model_near", "; did you mean {names}?", names=", ".join(map(repr, near)))
        elif names:
            some = ", ".join(map(repr, names[:5])) + (", …" if len(names) > 5 else "")
            hint = remark("model_there", "; there is {names}", names=some)
        else:
            hint = remark("model_none", "; there is none yet")
        words = "{kind} not found: {name}{hint}"
        super().__init__(remark("model_not_found", words, kind=kind, name=repr(shown), hint=hint))
