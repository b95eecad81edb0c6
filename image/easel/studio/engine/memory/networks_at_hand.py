"""Small networks beside the checkpoint, for upscaling and faces: loaded when they are needed, a few kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import structlog
import torch

from easel.models import ModelFile, read_header
from easel.studio.engine.memory.device_memory import TooLarge, available, give_back

log = structlog.get_logger(__name__)


class NetworksAtHand:
    """Those on one device, by their files; `what` they are is for the log. Used from the engine's thread
    only."""

    def __init__(self, device: torch.device, what: str) -> None:
        self._device, self._what = device, what
        self._loaded: OrderedDict[ModelFile, Any] = OrderedDict()

    def get(self, file: ModelFile, build: Callable[[ModelFile], Any]) -> Any:
        """The network of a file, by `build` where it is not there. Raises what `build` does, and TooLarge."""
        if file not in self._loaded:
            need = sum(one.nbytes for one in read_header(file.path).tensors.values())
            have = available(self._device)
            if need > have:
                raise TooLarge(file.name, need, have, self._device)
            with torch.inference_mode(False):  # parameters that are made in it cannot be set
                model = self._loaded[file] = build(file).to(self._device).eval()
            kind = getattr(model, "architecture", None)  # of a descriptor of spandrel's
            told = {"architecture": kind.id, "scale": model.scale} if kind else {}
            log.info(f"{self._what} loaded", file=file.name, bytes=need, **told)
        self._loaded.move_to_end(file)
        return self._loaded[file]

    def keep(self, most: int, nbytes: int) -> None:
        """Let the least lately used go while there are more than `most`, and of more bytes than `nbytes`."""
        while len(self._loaded) > most and sum(map(_nbytes, self._loaded.values())) > nbytes:
            self._loaded.popitem(last=False)

    def clear(self) -> bool:
        """Forget all of them; whether there were any."""
        there = bool(self._loaded)
        self._loaded.clear()
        if there:
            give_back(self._device)
        return there


def first_line(error: Exception) -> str:
    """What a library says of a damaged file, short enough for a message."""
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def _nbytes(model: Any) -> int:
    network = getattr(model, "model", model)  # spandrel's descriptors have it inside
    return sum(one.numel() * one.element_size() for one in network.parameters())
