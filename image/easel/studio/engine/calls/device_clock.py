"""How long calls of the device take, without waiting for it.

A GPU is asked and answers later: the clock of the program would show how long asking takes. So marks are laid
into its stream, and read when it has come by.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from easel.studio.engine.observer import CallKind, EngineObserver, TimedCall

if TYPE_CHECKING:
    from easel.studio.engine.queue.job import Job

# Calls whose end the device has not told. It answers within a step or two; more would be a leak.
_MOST_OPEN = 256


class DeviceClock:
    """Tells an observer of each call of `device`. Used from the engine's thread only.

    `jobs` are those that the device works for now, one for each picture.
    """

    def __init__(self, device: torch.device, observer: EngineObserver | None = None) -> None:
        self._cuda = device.type == "cuda"
        self._observer = observer or EngineObserver()
        self._open: deque[tuple[TimedCall, Any, Any]] = deque(maxlen=_MOST_OPEN)
        self.jobs: tuple[Job, ...] = ()

    @contextmanager
    def call(self, kind: CallKind, rows: int = 0) -> Iterator[None]:
        """What is done within is one call. One that fails is not told of."""
        jobs, began = self.jobs, self._mark()
        yield
        done = TimedCall(kind, 0.0, jobs, rows)
        if self._cuda:
            self._open.append((done, began, self._mark()))
            self._collect()
        else:
            self._observer.called(replace(done, seconds=time.perf_counter() - began))

    def _mark(self) -> Any:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def _collect(self) -> None:
        """Tell of the calls that the device is through with."""
        while self._open and self._open[0][2].query():
            done, began, ended = self._open.popleft()
            self._observer.called(replace(done, seconds=began.elapsed_time(ended) / 1000))
