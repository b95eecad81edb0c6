"""The blocks that a backbone repeats, compiled (torch.compile): for calls in which nothing changes them.

A UNet or a transformer is the same few blocks dozens of times, and compiling one of each takes a tenth of
compiling the whole (diffusers calls it regional compilation, and names the blocks). Numbers of rows, pixels
and tokens are left open, so that neither another width nor another size compiles again; one row is compiled
apart from several, which torch insists on.

A compiled block knows nothing of what people bring: only plain calls (`plain_calls`) are made of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from subprocess import SubprocessError
from typing import Any, TypeVar

import structlog

from easel.studio.engine.calls.device_calls import BackboneCall
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.compiling import Compiling
from easel.studio.engine.recorded.plain_calls import plain

log = structlog.get_logger(__name__)

# Blocks of one class by their widths, one row or more, and type: SDXL has 4, a store's families some dozens.
# Beyond so many torch silently compiles no more.
_MOST_COMPILED = 64
# A call that took longer has compiled something, or brought it from the disk.
_LONG_SECONDS = 2.0


Answer = TypeVar("Answer")


class CompiledBlocks:
    """Those of one checkpoint. Used from the engine's thread only."""

    def __init__(self, checkpoint: Checkpoint, compiling: Compiling) -> None:
        """`compiling` is told where they cannot be."""
        names = getattr(checkpoint.backbone, "_repeated_blocks", None) or ()
        # weights that come layer by layer come by hooks
        modules = checkpoint.backbone.modules() if checkpoint.offload is None else ()
        self._blocks: list[tuple[Any, Any]] = []
        self._file, self._compiling = checkpoint.file.name, compiling
        # seconds of imports, for those who compile alone
        dynamo = import_module("torch._dynamo")
        dynamo.config.recompile_limit = _MOST_COMPILED
        # Triton calls the compiler once more when a kernel first runs, and passes on how that ends
        self._refused = (dynamo.exc.TorchDynamoException, SubprocessError, OSError)
        for block in [one for one in modules if type(one).__name__ in names]:
            block.compile(dynamic=True, fullgraph=True)
            self._blocks.append((block, block._compiled_call_impl))
            block._compiled_call_impl = None

    def take(self, calls: Sequence[BackboneCall]) -> bool:
        """Whether a call for these may be made of compiled blocks."""
        return bool(self._blocks) and all(map(plain, calls))

    def call(self, make: Callable[[], Answer]) -> Answer:
        """What `make` answers with compiled blocks at work. Where they cannot be compiled, without, from now
        on for good; the log says why."""
        began = time.perf_counter()
        try:
            with self._at_work():
                found = make()
        except self._refused as error:
            reason = (str(error).strip() or type(error).__name__)[:500]
            self._compiling.ends(self._file, reason)
            self._blocks.clear()
            return make()
        if (seconds := time.perf_counter() - began) > _LONG_SECONDS:
            log.info("compiled", file=self._file, seconds=round(seconds, 1))
        return found

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        for block, compiled in self._blocks:
            block._compiled_call_impl = compiled
        try:
            yield
        finally:
            for block, _ in self._blocks:
                block._compiled_call_impl = None
