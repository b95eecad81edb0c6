"""What a GPU does for one call, recorded: a CUDA graph (https://docs.pytorch.org/docs/stable/notes/cuda.html)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch


class Recorder(Protocol):
    """Records calls on one device. `held` are the bytes that all of its recordings keep for themselves."""

    held: int

    def record(self, call: Callable[[], object]) -> tuple[Callable[[], None], object]:
        """Make a call and keep what the device did for it. Returns what makes the device do it again, from
        the same addresses to the same ones, and the call's answer, which is written anew each time.

        Raises RuntimeError for a call that waits for the device in between, or has no room.
        """


class CudaGraphs:
    """Those of one checkpoint. Used from the engine's thread only."""

    def __init__(self, device: torch.device) -> None:
        self.held = 0
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        # One pool: what a graph needs only while it runs, others need at other times. An answer stays whole
        # for as long as its tensors are held.
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, call: Callable[[], object]) -> tuple[Callable[[], None], object]:
        """As Recorder has it."""
        here = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):
            call()  # libraries want memory of their own on each stream, which no recording may begin with
        here.wait_stream(self._stream)
        torch.cuda.synchronize(self._device)
        before = torch.cuda.memory_reserved(self._device)
        graph = torch.cuda.CUDAGraph()
        # a checkpoint that is loaded ahead, by another thread, goes on meanwhile: it says nothing of this one
        with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
            answer = call()
        self.held += max(0, torch.cuda.memory_reserved(self._device) - before)
        return graph.replay, answer
