"""The modules of a family without their weights: built in milliseconds from the configuration in the package.

Made on torch's "meta" device, which allocates nothing. The device is set for this thread only, so a
checkpoint can be built while another one draws.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

from easel.studio.engine.latents.latent_spaces import latent_space
from easel.studio.engine.quantised.packed_modules import stored_bytes
from easel.studio.engine.text_models.buffers import restore_buffers
from easel.studio.engine.text_models.table import text_model
from easel.studio.engine.transformers.table import transformer_of
from easel.studio.families import Family, TextEncoder

# diffusers asks for this in every attention of every call: 25 us, of a small picture's 15 ms a call 0.35.
# Where the function has its own, 7.
_CALL: Any = AttnProcessor2_0.__call__
_CALL.__signature__ = inspect.signature(_CALL)


@dataclass
class Skeleton:
    """Modules whose parameters have shapes but no storage. A text encoder is None where there is none."""

    VAE: ClassVar[int] = 1
    """Its place among the `parts`."""

    backbone: Any
    vae: Any
    text_encoders: tuple[Any, ...]

    @property
    def parts(self) -> tuple[Any, ...]:
        """All of them: the backbone first, the VAE, and the text encoders in their order."""
        return self.backbone, self.vae, *self.text_encoders

    @parts.setter
    def parts(self, parts: tuple[Any, ...]) -> None:
        self.backbone, self.vae, *encoders = parts
        self.text_encoders = tuple(encoders)

    @property
    def present_encoders(self) -> tuple[Any, ...]:
        """Those that are there."""
        return tuple(one for one in self.text_encoders if one is not None)


def skeleton(family: Family) -> Skeleton:
    """UNet or transformer, VAE and text encoders of a family. Touches no network: only files of
    `family.folder` are read."""
    if family.flow is not None:
        transformer = transformer_of(family.architecture).skeleton(
            _json(family.folder / "transformer/config.json")
        )
        models = tuple(_text_model(family, one) for one in family.text_encoders)
        return Skeleton(transformer, vae_skeleton(family), models)
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(_json(family.folder / "unet/config.json"))
        encoders = tuple(_text_encoder(family.folder, one) for one in family.text_encoders)
    return Skeleton(unet, vae_skeleton(family), encoders)


def vae_skeleton(family: Family) -> Any:
    """The VAE of a family alone."""
    config = _json(family.folder / "vae/config.json")
    return latent_space(config).skeleton(config)


def fill(module: Any, tensors: dict[str, torch.Tensor], device: torch.device) -> None:
    """Give a skeleton its weights, without a copy, and make it ready: evaluation only, no gradients."""
    module.load_state_dict({name: tensors[name] for name in module.state_dict()}, strict=True, assign=True)
    restore_buffers(module, device)
    module.eval().requires_grad_(False)


def is_empty(module: nn.Module) -> bool:
    """Whether a module has no weights yet."""
    return next(module.parameters()).is_meta


def nbytes(module: nn.Module, dtype: torch.dtype) -> int:
    """Bytes of the module's parameters: what is packed (`quantised`) as it is, all others in `dtype`."""
    return sum(stored_bytes(parameter, dtype) for parameter in module.parameters())


def _text_model(family: Family, encoder: TextEncoder) -> Any:
    config = _json(family.folder / encoder.folder / "config.json")
    return text_model(family.name, encoder.role).skeleton(config)


def _text_encoder(folder: Path, encoder: TextEncoder) -> Any:
    config = CLIPTextConfig(**_json(folder / encoder.folder / "config.json"))
    return CLIPTextModelWithProjection(config) if encoder.projected else CLIPTextModel(config)


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
