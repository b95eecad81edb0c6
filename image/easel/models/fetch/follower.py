"""Hashes a file in order while its bytes arrive in any order, and looks at its header once it is there."""

from __future__ import annotations

import json
import threading
from concurrent.futures import Executor, ThreadPoolExecutor

from easel.models.errors import LyingHeader, NotSafetensors
from easel.models.fetch.partial_file import BLOCK, PartialFile
from easel.models.hashes import Digests
from easel.models.model_header import LookAgain, read_arrived_header
from easel.models.source_errors import NotAModel
from easel.models.sources.offer import message_of

AUTOV3_BELOW = 2_000_000_000
"""Bytes of a file whose AutoV3 is computed as it comes. Infotexts call LoRAs by it, which are smaller; for a
checkpoint it would be as much work as its SHA-256, for a number that nobody asks for."""


UNSAID = 1 << 62
"""The size of a file whose server says none, for whoever reads its header: what comes may be without end."""


class Follower:
    """Reads what is in of a part from the first byte on.

    What an earlier process fetched is read once more, for a hash cannot be put down half-way; the rest comes
    from memory, where the system still has it. `address` is for messages; no AutoV3 without `rest`.
    """

    def __init__(self, part: PartialFile, address: str, *, rest: bool = True) -> None:
        self._rest = rest
        self.digests = Digests(rest=rest)
        self._part, self._address = part, address
        self._position = 0
        self._checked = False
        self._look = LookAgain()

    def follow(self, stop: threading.Event) -> None:
        """Hash until all is in. Raises NotAModel and FileError for what is no whole model; OSError's kin."""
        with ThreadPoolExecutor(1, thread_name_prefix="autov3") as helper:
            self._follow(stop, helper)

    def _follow(self, stop: threading.Event, helper: Executor) -> None:
        part = self._part
        while not stop.is_set():
            with part.changed:
                while not stop.is_set() and not self._enough() and not self._at_end():
                    if not part.changed.wait(0.5) and part.done.prefix > self._position:
                        break
                there = part.done.prefix
                if self._at_end():
                    return
            if not self._position:
                small = part.size is None or part.size < AUTOV3_BELOW
                self.digests = Digests(helper, rest=self._rest and small)
            while self._position < there and not stop.is_set():
                block = part.read(self._position, min(BLOCK, there - self._position))
                if not block:
                    return  # it was begun anew
                self.digests.update(block)
                self._position += len(block)
            if not self._checked:
                self._check()

    def _enough(self) -> bool:
        """Whether there is a block: crumbs cost more to hand about than to hash. The header's come singly."""
        there = self._part.done.prefix
        return there - self._position >= (BLOCK if self._checked else 1) or there == self._part.size

    def _at_end(self) -> bool:
        return self._part.size is not None and self._position >= self._part.size

    def _check(self) -> None:
        """Refuse what is no model before gigabytes of it have come."""
        if self._look.is_due(self._position, self._part.size or UNSAID):
            self._checked = check_header(self._part, self._address, self._position)


def check_header(part: PartialFile, address: str, there: int) -> bool:
    """See that what is in begins as a model; False while its header is not `there`, which counts bytes.

    Raises NotAModel, and what `read_model_header` raises.
    """
    try:
        # From the file: a header may have a hundred megabytes, and is not read twice into memory.
        with open(part.path, "rb") as file:
            size = UNSAID if part.size is None else part.size
            return read_arrived_header(file, there, size, part.target.name) is not None
    except NotSafetensors as error:
        raise not_a_model(address, error, part.read(0, 20_000)) from None
    except LyingHeader:
        if part.size is not None:
            raise
        return True  # it is a model's; whether all of it is there and nothing else, its end tells


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
