"""Which checkpoint a request is drawn with that names none: by rule, and not by the alphabet.

1. the one that the operator named (`checkpoint` in the stack file),
2. the one that served last, also before a restart,
3. the starter,
4. the first that there is, with a word about it.

So a file that somebody adds changes nobody's pictures.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

import structlog

from easel.models import ModelFile, Store, UnknownModel, write_whole
from easel.remark import remark, said_by
from easel.studio.engine.errors import NoCheckpoint

log = structlog.get_logger(__name__)

# Ships with Easel so that there is a first picture.
STARTER = "easel-starter.safetensors"
_LARGEST = 10_000


class DefaultCheckpoint:
    """The default checkpoint of one endpoint. Thread-safe.

    `named` is the operator's. `memory` is the file that says which served last; None remembers nothing.
    """

    def __init__(self, store: Store, named: str | None = None, memory: Path | None = None) -> None:
        self._store, self._named, self._memory = store, named, memory
        self._lock = threading.Lock()
        self._chosen: ModelFile | None = None
        self._note = ""
        self._told = ""

    def find(self) -> tuple[ModelFile, str]:
        """The checkpoint, and what is to be said about it ("" for nothing). Raises NoCheckpoint.

        It stays the same while its file is there, but for the operator's, which is taken as soon as it is
        there.
        """
        missing = ""
        if self._named:
            try:
                return self._store.find_checkpoint(self._named), ""
            except UnknownModel as error:
                missing = said_by(error)
        with self._lock:
            known = self._store.checkpoints()
            if not known:
                raise NoCheckpoint(
                    remark(
                        "no_checkpoint",
                        "there is no checkpoint; put a .safetensors file into models/Stable-diffusion "
                        "and reload",
                    )
                )
            if self._chosen not in known:
                self._chosen, self._note = self._choose(known)
            note = self._note
            if missing:
                words = (
                    "The checkpoint that the stack file names is not here: {why}. "
                    "{name} is drawn with instead."
                )
                note = remark("named_not_here", words, why=missing, name=self._chosen.name)
            if note and note != self._told:
                log.warning("default checkpoint", name=self._chosen.name, note=note)
                self._told = note
            return self._chosen, note

    def served(self, file: ModelFile) -> None:
        """Remember that `file` serves now. That it cannot be written is logged, and no fault."""
        if self._memory is None or self._last() == file.name:
            return
        try:
            write_whole(self._memory, json.dumps({"checkpoint": file.name}).encode())
        except OSError as error:
            log.warning("which checkpoint served last is not kept", reason=error.strerror)

    def _choose(self, known: list[ModelFile]) -> tuple[ModelFile, str]:
        last = self._last()
        for name in (last, STARTER):
            for file in known:
                if file.name == name:
                    return file, ""
        (first, *others) = known
        if not others:
            return first, ""
        return first, remark(
            "first_of_many",
            "No checkpoint is named, and none has served here yet: {name} is drawn with, the first of "
            "{n}. `checkpoint` in the stack file names one for all.",
            name=first.name,
            n=len(known),
        )

    def _last(self) -> str:
        if self._memory is None:
            return ""
        try:
            with open(self._memory, encoding="utf-8") as file:
                found = json.loads(file.read(_LARGEST))
            return str(found["checkpoint"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return ""
