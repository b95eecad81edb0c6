"""What the VAEs of the families make of a picture, each in its own way: one object for each kind of VAE.

The loop draws latents (rows, channels, height, width) whose numbers are about as large as noise's; a VAE's
own are not, nor in every family of that shape.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import (
    AutoencoderKLQwenImage,
    QwenImageCausalConv3d,
)

from easel.studio.engine.latents.tiles import Pieces, decoding, encoding
from easel.studio.engine.tensors.conversion import to_vae
from easel.studio.families.latents import pixels_of_latent

_PREFIXES = ("first_stage_model.", "vae.")
_PARTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")


class LatentSpace(ABC):
    """One kind of VAE. Without state: the VAE is given.

    `module` is diffusers' class, and `parts` are what the tensors of a file that holds it alone begin with.
    Channels and sizes of latents are told by `families.latents`.
    """

    module: ClassVar[Any]
    parts: ClassVar[tuple[str, ...]] = _PARTS

    def skeleton(self, config: Mapping[str, Any]) -> Any:
        """The VAE with this configuration, on the meta device."""
        with torch.device("meta"):
            return self.module.from_config(dict(config))

    def names(self, names: Iterable[str]) -> list[str]:
        """The tensors that belong to the VAE, of a checkpoint or of a file that holds it alone."""
        every = list(names)
        inside = [name for name in every if name.startswith(_PREFIXES)]
        return inside or [name for name in every if name.startswith(self.parts)]

    @abstractmethod
    def convert(self, tensors: Mapping[str, torch.Tensor], vae: Any) -> dict[str, torch.Tensor]:
        """A file's tensors under the module's names: as first published, or in diffusers' layout, with or
        without a prefix. Works on tensors that have shapes alone (`conversion.Traced`) as well."""

    @abstractmethod
    def unscaled(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        """Latents that were drawn, as the VAE's decoder takes them."""

    @abstractmethod
    def scaled(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        """Latents from the VAE's encoder, as they are drawn."""

    def decoding(self, vae: Any, latents: torch.Tensor, *, side: int | None = None) -> Pieces:
        """Pixels of latents that were drawn, in pieces; see `tiles.decoding`."""
        unscaled = self.unscaled(vae, latents)
        return (yield from decoding(vae, unscaled, pixels_of_latent(vae.config), side=side))

    def encoding(self, vae: Any, pixels: torch.Tensor, *, side: int | None = None) -> Pieces:
        """Latents of pixels, as they are drawn, in pieces; see `tiles.encoding`."""
        latents = yield from encoding(vae, pixels, pixels_of_latent(vae.config), side=side)
        return self.scaled(vae, latents)


class ScaledLatents(LatentSpace):
    """Latents times a factor, around a middle: Stable Diffusion 1 to 3.5, Flux.1, Chroma, Z-Image."""

    module = AutoencoderKL

    def convert(self, tensors: Mapping[str, torch.Tensor], vae: Any) -> dict[str, torch.Tensor]:
        """From the names of latent-diffusion, which Stability and Black Forest Labs publish in as well."""
        return to_vae(tensors, vae)

    def unscaled(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        """Away with the factor, back to the middle."""
        return latents / float(vae.config.scaling_factor) + _middle(vae)

    def scaled(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        """The reverse."""
        return (latents - _middle(vae)) * float(vae.config.scaling_factor)


class PatchedLatents(LatentSpace):
    """Each two by two of the VAE's latents are one of four times the channels, at mean and spread that it
    learned (a batch norm that is never run): Flux.2."""

    module = AutoencoderKLFlux2
    parts = (*_PARTS, "bn.")

    def convert(self, tensors: Mapping[str, torch.Tensor], vae: Any) -> dict[str, torch.Tensor]:
        """Black Forest Labs' names are those of latent-diffusion but for the two outermost convolutions."""
        plain = {_plain(name): tensor for name, tensor in tensors.items()}
        renamed = {
            name.replace("encoder.quant_", "quant_").replace("decoder.post_quant_", "post_quant_"): tensor
            for name, tensor in plain.items()
        }
        found = to_vae(renamed, vae) | {name: plain[name] for name in ("bn.running_mean", "bn.running_var")}
        # a count of training steps: no weight, and not in every file
        device = found["bn.running_mean"].device
        return found | {"bn.num_batches_tracked": torch.zeros((), dtype=torch.long, device=device)}

    def unscaled(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        """To the VAE's mean and spread, and out of the patches."""
        mean, spread = self._statistics(vae, latents)
        return torch.pixel_shuffle(latents * spread + mean, vae.config.patch_size[0])

    def scaled(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        """The reverse."""
        patched = torch.pixel_unshuffle(latents, vae.config.patch_size[0])
        mean, spread = self._statistics(vae, patched)
        return (patched - mean) / spread

    @staticmethod
    def _statistics(vae: Any, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        variance = vae.bn.running_var.float() + vae.config.batch_norm_eps
        return _by_channel(vae.bn.running_mean, latents), _by_channel(variance.sqrt(), latents)


class FrameLatents(LatentSpace):
    """A VAE for films, whose pictures are films of one frame, each channel at a mean and spread of its own:
    Qwen-Image, whose VAE is built as Wan 2.1's."""

    module = AutoencoderKLQwenImage
    parts = (*_PARTS, "conv1.", "conv2.")

    def skeleton(self, config: Mapping[str, Any]) -> Any:
        """Its convolutions over time are those of one frame."""
        vae = super().skeleton(config)
        for module in vae.modules():
            if isinstance(module, QwenImageCausalConv3d):
                module.__class__ = _FrameConvolution
        return vae

    def convert(self, tensors: Mapping[str, torch.Tensor], vae: Any) -> dict[str, torch.Tensor]:
        """From Wan's names, which single files have."""
        plain = {_plain(name): tensor for name, tensor in tensors.items()}
        if any(name.startswith("encoder.downsamples.") for name in plain):
            return dict(convert_wan_vae_to_diffusers(plain))
        return plain

    def unscaled(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        """To the VAE's mean and spread."""
        mean, spread = self._statistics(vae, latents)
        return latents * spread + mean

    def scaled(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        """The reverse."""
        mean, spread = self._statistics(vae, latents)
        return (latents - mean) / spread

    @staticmethod
    def _statistics(vae: Any, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, spread = torch.tensor(vae.config.latents_mean), torch.tensor(vae.config.latents_std)
        return _by_channel(mean, latents), _by_channel(spread, latents)


class _FrameConvolution(QwenImageCausalConv3d):  # type: ignore[misc]  # diffusers' classes have no types
    """A convolution over time, of one frame that nothing came before: two of its three taps meet zeros. In
    float32 on a CPU a decode of 256x256 takes 5.1 s with it, 8.3 without, and a sixth less memory."""

    def forward(self, frame: torch.Tensor, _before: None = None) -> torch.Tensor:
        """Of a film of one frame, (n, channels, 1, height, width)."""
        around = (self._padding[2], self._padding[0])
        return F.conv2d(frame.squeeze(2), self.weight[:, :, -1], self.bias, padding=around).unsqueeze(2)


_SPACES: Mapping[str, LatentSpace] = {
    space.module.__name__: space for space in (ScaledLatents(), PatchedLatents(), FrameLatents())
}


def latent_space(vae: Any) -> LatentSpace:
    """The space of a VAE: of the module, or of what stands in its `config.json`."""
    return _SPACES[vae["_class_name"] if isinstance(vae, Mapping) else type(vae).__name__]


def _middle(vae: Any) -> float:
    """Not every configuration has the field, and some have it empty."""
    return float(vae.config.get("shift_factor") or 0.0)


def _by_channel(numbers: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    return numbers.to(latents.device, latents.dtype).reshape(1, -1, 1, 1)


def _plain(name: str) -> str:
    return next((name.removeprefix(one) for one in _PREFIXES if name.startswith(one)), name)
