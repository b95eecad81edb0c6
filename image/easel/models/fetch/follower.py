"""Hashes a file in order while its bytes arrive in any order, and looks at its header once it is there."""

from __future__ import annotations

import io
import json
import threading

from easel.models.errors import NotSafetensors
from easel.models.fetch.part import Part
from easel.models.hashes import Digests
from easel.models.header import HEADER_LIMIT, read_header_from
from easel.models.source_errors import NotAModel
from easel.models.sources.offer import message_of

_BLOCK = 1 << 20


class Follower:
    """Reads what is in of a part from the first byte on.

    What an earlier process fetched is read once more, for a hash cannot be put down half-way; the rest comes
    from memory, where the system still has it. `address` is for messages.
    """

    def __init__(self, part: Part, address: str) -> None:
        self.digests = Digests()
        self._part, self._address = part, address
        self._position = 0
        self._checked = False

    def follow(self, stop: threading.Event) -> None:
        """Hash until all is in. Raises NotAModel and FileError for what is no whole model; OSError's kin."""
        part = self._part
        while not stop.is_set():
            with part.changed:
                while not stop.is_set() and part.done.prefix <= self._position and not self._at_end():
                    part.changed.wait(0.5)
                there = part.done.prefix
                if self._at_end():
                    return
            while self._position < there and not stop.is_set():
                block = part.read(self._position, min(_BLOCK, there - self._position))
                if not block:
                    return  # it was begun anew
                self.digests.update(block)
                self._position += len(block)
            if not self._checked:
                self._check()

    def _at_end(self) -> bool:
        return self._part.size is not None and self._position >= self._part.size

    def _check(self) -> None:
        """Refuse what is no model before gigabytes of it have come."""
        size, name = self._part.size, self._part.target.name
        if size is None or self._position < 9:
            return
        start = self._part.read(0, 9)
        length = 8 + int.from_bytes(start[:8], "little")
        sane = start[8:9] == b"{" and length <= HEADER_LIMIT + 8
        if sane and self._position < min(length, size):
            return
        header = self._part.read(0, length if sane else 1024)
        try:
            read_header_from(io.BytesIO(header), size, name)
        except NotSafetensors as error:
            raise not_a_model(self._address, error, self._part.read(0, 20_000)) from None
        self._checked = True


def not_a_model(address: str, error: NotSafetensors, start: bytes) -> NotAModel:
    """The refusal, with what the server had to say in the place of the file."""
    words = ""
    if start.lstrip()[:1] == b"{":
        try:
            found = json.loads(start)
            words = message_of(found) if isinstance(found, dict) else ""
        except (ValueError, RecursionError):
            words = ""
    return NotAModel(address, error.problem + (f" (it says: {words})" if words else ""))
