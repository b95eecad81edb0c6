"""Upscaler files as networks that spandrel knows: loaded when they are needed, a few kept."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import structlog
import torch
from safetensors.torch import load_file

from easel.models import FileError, Kind, ModelFile, WrongKind, read_header
from easel.studio.engine.memory import TooLarge, available, give_back

log = structlog.get_logger(__name__)

KEPT_BYTES = 300_000_000
"""Of weights: four of ESRGAN's in single precision, or the largest that are published."""
_PURPOSES = ("SR", "Restoration")


class UpscalerModels:
    """The upscalers at hand on one device. Used from the engine's thread only."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._loaded: OrderedDict[ModelFile, Any] = OrderedDict()

    def get(self, file: ModelFile) -> Any:
        """The model, as spandrel describes it (`ImageModelDescriptor`): in half precision on a GPU where it
        holds that. Raises a FileError."""
        if file not in self._loaded:
            self._loaded[file] = self._load(file)
            while len(self._loaded) > 1 and sum(map(_nbytes, self._loaded.values())) > KEPT_BYTES:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(file)
        return self._loaded[file]

    def clear(self) -> bool:
        """Forget all of them; whether there were any."""
        there = bool(self._loaded)
        self._loaded.clear()
        if there:
            give_back(self._device)
        return there

    def _load(self, file: ModelFile) -> Any:
        header = read_header(file.path)
        need, have = sum(one.nbytes for one in header.tensors.values()), available(self._device)
        if need > have:
            raise TooLarge(file.name, need, have, self._device)
        with torch.inference_mode(False):  # parameters that are made in it cannot be set
            model = _described(file)
            if self._device.type == "cuda" and model.supports_half:
                model.half()
            model.to(self._device).eval()
        log.info("upscaler loaded", file=file.name, architecture=model.architecture.id, scale=model.scale)
        return model


def _described(file: ModelFile) -> Any:
    # Two seconds, for torchvision comes with it; `Engine.submit` has done it by now, on another thread.
    import spandrel

    try:
        model = spandrel.ModelLoader().load_from_state_dict(load_file(file.path))
    except spandrel.UnsupportedModelError as error:
        raise WrongKind(
            file.name, "a file of no architecture that spandrel knows", None, "an upscaler"
        ) from error
    except Exception as error:  # each architecture trips over a damaged file in a way of its own
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise FileError(file.name, f"this upscaler cannot be loaded ({reason[:200]})") from error
    if not isinstance(model, spandrel.ImageModelDescriptor) or model.purpose not in _PURPOSES:
        raise WrongKind(file.name, f"a {model.architecture.name} for {model.purpose}", None, "an upscaler")
    if (model.input_channels, model.output_channels) != (3, 3):
        raise WrongKind(
            file.name,
            f"an upscaler of pictures with {model.input_channels} channels",
            Kind.UPSCALER.folder,
            "one of colour pictures",
        )
    return model


def _nbytes(model: Any) -> int:
    return sum(one.numel() * one.element_size() for one in model.model.parameters())
