"""The networks that put pictures into words, at hand on one device: loaded when they are needed."""

from __future__ import annotations

from typing import Any

import torch
from safetensors.torch import load_file

from easel.models import FileError, ModelFile, path_now, read_header
from easel.studio.engine.interrogation.captioner import Captioner
from easel.studio.engine.interrogation.files import INTERROGATORS, ranks
from easel.studio.engine.interrogation.question import Interrogator
from easel.studio.engine.interrogation.ranker import Ranker
from easel.studio.engine.interrogation.tagger import Tagger
from easel.studio.engine.memory.networks_at_hand import NetworksAtHand, first_line


class InterrogatorModels:
    """The two that were used last, in single precision as it was trained. Used from the engine's thread
    only."""

    def __init__(self, device: torch.device) -> None:
        self._networks = NetworksAtHand(device, "interrogator")

    def get(self, file: ModelFile | None) -> Captioner | Tagger | Ranker | None:
        """The network of a file. Raises a FileError."""
        if file is None:
            return None
        found: Captioner | Tagger | Ranker = self._networks.get(file, _loaded)
        self._networks.keep(2, 0)
        return found

    def clear(self) -> bool:
        """Forget it; whether there was one."""
        return self._networks.clear()


def _loaded(file: ModelFile) -> Any:
    try:
        tensors = {name: one.float() for name, one in load_file(path_now(file.path)).items()}
        if INTERROGATORS[Interrogator.CLIP].telling in tensors:
            return Captioner(tensors)
        if ranks(tensors):
            return Ranker(tensors)
        return Tagger(tensors, read_header(file.path).metadata)
    except Exception as error:  # a file of another network trips wherever it differs first
        words = f"this file cannot be loaded as what puts pictures into words ({first_line(error)})"
        raise FileError(file.name, words) from error
