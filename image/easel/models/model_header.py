"""The header of a model file, whatever its format is: told by its first bytes."""

from __future__ import annotations

import os
from typing import BinaryIO

from easel.models.errors import NotSafetensors
from easel.models.gguf_header import HeaderNotYet, is_gguf, read_gguf_header_from
from easel.models.header import Header, header_end, opened_header, read_header_from
from easel.remark import remark

# What a file is that begins no model is told by so many of its bytes.
_TOLD_BY = 1024


def read_model_header(path: str | os.PathLike[str]) -> Header:
    """Read and check the header of the safetensors or GGUF file at `path`.

    Raises MissingFile, NotSafetensors (also for one format under the other's ending), CutShort, LyingHeader.
    """
    return opened_header(path, read_model_header_from)


def read_model_header_from(file: BinaryIO, size: int, name: str) -> Header:
    """As `read_model_header`, of a file of `size` bytes of which at least the header is there."""
    found = read_arrived_header(file, size, size, name)
    assert found is not None  # noqa: S101 - all of it is there
    return found


class LookAgain:
    """When a header that was not there yet is looked for again: once twice as much has arrived.

    How long a GGUF header is nobody knows before its end, so each look begins at its first byte.
    """

    def __init__(self) -> None:
        self._at = 0

    def is_due(self, there: int, size: int) -> bool:
        """Whether to look now that `there` of `size` bytes have arrived."""
        if there < min(self._at, size):
            return False
        self._at = 2 * there
        return True


def read_arrived_header(file: BinaryIO, there: int, size: int, name: str) -> Header | None:
    """The header of a file that will be `size` bytes long, of which the first `there` have arrived.

    None while more is needed. So a download can be refused after its first kilobytes. Raises as above.
    """
    begin = file.tell()
    start = file.read(min(9, there, size))
    file.seek(begin)
    if is_gguf(start):
        _refuse_ending(name, ".safetensors", _ending("GGUF", ".gguf"))
        try:
            return read_gguf_header_from(file, size, name, there=there)
        except HeaderNotYet:
            return None
    end = header_end(start)
    if there < min(_TOLD_BY if end is None else end, size):
        return None
    if end is not None:
        _refuse_ending(name, ".gguf", _ending("safetensors", ".safetensors"))
    return read_header_from(file, size, name)


def _ending(kind: str, ending: str) -> str:
    return remark(
        "file_ending", "this is a {kind} file: give it the ending {ending}", kind=kind, ending=ending
    )


def _refuse_ending(name: str, ending: str, problem: str) -> None:
    """A file goes by its name from here on: what it is read as, and where it may lie."""
    if name.lower().endswith(ending):
        raise NotSafetensors(name, problem)
