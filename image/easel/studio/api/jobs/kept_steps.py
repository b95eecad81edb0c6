"""How far pictures of an asynchronous request are, kept so that another process goes on from there.

Kept is what the UNet answered, step after step, and not the latents: a sampler remembers more than those
(earlier estimates, noise that it has drawn), and given the same answers again it is to the bit where it was.
An answer has the size of the latents for each text: 0.13 MB at 512x512, 0.5 MB at 1024x1024, half of it in
half precision.
"""

from __future__ import annotations

import functools
import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from easel.models import walk
from easel.studio import engine
from easel.studio.api.jobs.record import AcceptedRequest
from easel.studio.durable_jobs import Journal

if TYPE_CHECKING:
    from torch import Tensor

log = structlog.get_logger(__name__)

KEEP_EVERY = 30.0
"""Seconds between two times that what a picture has reached is kept. Most are there before the first; what is
lost of the others at a death is no more than this."""
_SETTING = "EASEL_KEEP_STEPS_EVERY"


def keep_every(environment: Mapping[str, str] = os.environ) -> float:
    """As the operator wants it. What is no number from 0 on is passed over, and logged."""
    said = environment.get(_SETTING, "").strip()
    try:
        seconds = float(said or KEEP_EVERY)
    except ValueError:
        seconds = math.nan
    if seconds >= 0 and math.isfinite(seconds):
        return seconds
    log.warning("setting passed over", name=_SETTING, value=said[:80], allowed="seconds, 0 or more")
    return KEEP_EVERY


class KeptSteps:
    """Of one request. Used on saving threads."""

    def __init__(self, id: str, journal: Journal[AcceptedRequest]) -> None:
        self._id = id
        self._journal = journal
        self._there = False
        """Whether anything may lie there: of most requests nothing does, and a look at the folder for each
        picture would be a listing over a network."""

    def read(self) -> dict[int, list[Tensor]]:
        """By picture, what an earlier process was answered, from the first step to the first that is missing.
        Nothing of what another version of the engine was: its steps may be others."""
        self._there, found = True, {}
        for number, parts in self._journal.steps(self._id, _maker()).items():
            answers: list[Tensor] = []
            while path := parts.get(len(answers)):
                if not (more := _read(path)):
                    break
                answers += more
            found[number] = answers
        return found

    def write(self, number: int, first: int, answers: Sequence[Tensor]) -> None:
        """Keep more of a picture. What cannot be kept is drawn again, should this process end."""
        from safetensors.torch import save

        self._there = True
        content = save({f"{first + step:05}": one.contiguous() for step, one in enumerate(answers)})
        try:
            self._journal.write_steps(self._id, number, first, _maker(), content)
        except OSError as error:
            log.warning("steps not kept", job=self._id, reason=type(error).__name__)

    def forget(self, number: int) -> None:
        """The picture is there."""
        if self._there:
            self._journal.remove_steps(self._id, number)


def _read(path: Path) -> list[Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(path.read_bytes())
    except (OSError, ValueError, SafetensorError) as error:
        log.warning("steps not read", file=path.name, reason=type(error).__name__)
        return []
    return [tensors[name] for name in sorted(tensors)]


@functools.cache
def _maker() -> str:
    """The engine's own sources and torch's version: what makes the same steps."""
    import torch

    folder = Path(engine.__file__).parent
    digest = hashlib.sha256(torch.__version__.encode())
    for where, _, names in walk(folder):
        for name in names:
            if name.endswith(".py"):
                digest.update((where / name).read_bytes())
    return digest.hexdigest()[:8]
