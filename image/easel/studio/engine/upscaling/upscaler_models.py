"""Upscaler files as networks that spandrel knows: loaded when they are needed, a few kept."""

from __future__ import annotations

from typing import Any

import torch
from safetensors.torch import load_file

from easel.models import FileError, Kind, ModelFile, WrongKind, path_now
from easel.studio.engine.memory.networks_at_hand import NetworksAtHand, first_line

KEPT_BYTES = 300_000_000
"""Of weights: four of ESRGAN's in single precision, or the largest that are published."""
_PURPOSES = ("SR", "Restoration")


class UpscalerModels:
    """The upscalers at hand on one device. Used from the engine's thread only."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._networks = NetworksAtHand(device, "upscaler")

    def get(self, file: ModelFile) -> Any:
        """The model, as spandrel describes it (`ImageModelDescriptor`): in half precision on a GPU where it
        holds that. Raises a FileError."""
        model = self._networks.get(file, self._built)
        self._networks.keep(1, KEPT_BYTES)
        return model

    def clear(self) -> bool:
        """Forget all of them; whether there were any."""
        return self._networks.clear()

    def _built(self, file: ModelFile) -> Any:
        model = _described(file)
        if self._device.type == "cuda" and model.supports_half:
            model.half()
        return model


def _described(file: ModelFile) -> Any:
    # Two seconds, for torchvision comes with it; `Engine.submit` has done it by now, on another thread.
    import spandrel

    try:
        model = spandrel.ModelLoader().load_from_state_dict(load_file(path_now(file.path)))
    except spandrel.UnsupportedModelError as error:
        raise WrongKind(
            file.name, "a file of no architecture that spandrel knows", None, "an upscaler"
        ) from error
    except Exception as error:  # each architecture trips over a damaged file in a way of its own
        raise FileError(file.name, f"this upscaler cannot be loaded ({first_line(error)})") from error
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
