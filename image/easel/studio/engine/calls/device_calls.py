"""What a picture asks of the device next: one call of the backbone (the UNet or the transformer that draws),
a way through the VAE or an upscaler, another checkpoint."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from easel.models import ModelFile

if TYPE_CHECKING:
    from easel.studio.engine.calls.deep_cache import DeepCache
    from easel.studio.engine.control_models.control_residuals import Control
    from easel.studio.engine.control_models.image_prompt_attention import ImagePrompt
    from easel.studio.engine.control_models.reference_attention import ShownReference
    from easel.studio.engine.faces.face_run import FaceRun, FaceSearch
    from easel.studio.engine.interrogation.run import InterrogationRun
    from easel.studio.engine.networks.extra_networks import LoraUse
    from easel.studio.engine.texts.conditioning_schedule import Guidance
    from easel.studio.engine.upscaling.upscale_runs import FilterRun, UpscaleRun

# Small pictures go through the VAE together: latent pixels of a group, a picture of 512 by 512.
TOGETHER = 64 * 64
# A decode takes about what three rows of backbone calls do (SD 1.5: 2.5 teraflops to 0.8), in so many turns
# where it is not over in one; an encode about half of that.
_ROWS = {"decode": 3, "encode": 2}
_TURNS = 16
# What is left without the deep part is a twelfth of a UNet: of the starter's operations 8.0 %, of SD 1.x'
# 7.9 %, of SDXL's 1.5 %.
_SHALLOW = 12


@dataclass(eq=False)
class BackboneCall:
    """One call of the backbone for one picture, answered by its output (rows, channels, height/8, width/8).

    `latents` (1, channels, height/8, width/8) as the backbone wants them, float32; `timestep` a scalar;
    `guidance` and `added` (rows, …) what they are conditioned on, the former the same object while the texts
    are the same. `extra` are the channels beside the latents of inpainting checkpoints, (1, n, height/8,
    width/8). Calls of one `kind` may be made as one, but for those that go `alone`; each is drawn with its
    own `loras`.
    With `tiling` the picture's edges meet: convolutions look around them. `controls` are run before it,
    `image_prompts` (IP-Adapters) within it; `references` are shown to it before the latents. With
    `features` only the outermost layers run, on these; a whole call leaves its own with `cache`. `shown` are
    latents of pictures that a transformer looks at beside the one it draws.
    """

    latents: torch.Tensor
    timestep: torch.Tensor
    guidance: Guidance
    added: Mapping[str, torch.Tensor]
    extra: torch.Tensor | None
    kind: Hashable
    alone: bool = False
    tiling: bool = False
    controls: tuple[Control, ...] = ()
    image_prompts: tuple[ImagePrompt, ...] = ()
    references: tuple[ShownReference, ...] = ()
    loras: tuple[LoraUse, ...] = ()
    cache: DeepCache | None = None
    features: torch.Tensor | None = None
    shown: tuple[torch.Tensor, ...] = ()

    @property
    def tokens(self) -> torch.Tensor:
        """What the texts became, (rows, tokens, width)."""
        return self.guidance.tokens

    @property
    def networks(self) -> Hashable:
        """What its LoRAs do to the backbone: equal for two calls that they do the same to."""
        return tuple(one.in_unet for one in self.loras)

    @property
    def rows(self) -> int:
        """Rows of the batch that this picture takes: one for each text."""
        return self.tokens.shape[0]

    @property
    def latent_pixels(self) -> int:
        """Pixels of one row."""
        return self.latents.shape[-2] * self.latents.shape[-1]

    @property
    def shown_pixels(self) -> int:
        """Latent pixels of the pictures that are looked at, which each row has beside its own."""
        return sum(one.shape[-2] * one.shape[-1] for one in self.shown)

    @property
    def cost(self) -> int:
        """The call's work, in latent pixels; a ControlNet is about half a UNet."""
        if self.shallow:
            return max(1, self.latent_pixels * self.rows // _SHALLOW)
        return (self.latent_pixels + self.shown_pixels) * self.rows * (2 + self.halves) // 2

    @property
    def shallow(self) -> bool:
        """Whether the deep part of the UNet is left out."""
        return self.features is not None

    @property
    def kept_bytes(self) -> int:
        """What stays with the picture behind a whole call."""
        return 0 if self.cache is None or self.shallow else self.cache.bytes_of(self.rows, self.latent_pixels)

    @property
    def halves(self) -> int:
        """What is done beside, in halves of the UNet: a ControlNet is one, a reference two."""
        return len(self.controls) + 2 * len(self.references)


@dataclass(eq=False)
class VaeCall:
    """A picture's way through a VAE: `way` "decode" takes latents as the backbone left them and is answered
    by an image; "encode" takes pixels (1, 3, height, width) in [-1, 1] and is answered by latents.

    `file` is that of `vae`, None for the checkpoint's own. Those of one `kind` may go together; `exact` ones
    go alone, by tiles that what is free at the moment has no say in.
    """

    way: str
    given: torch.Tensor
    vae: Any
    file: ModelFile | None
    downscale: int
    tiling: bool = False
    exact: bool = False
    kind: Hashable = field(init=False)

    def __post_init__(self) -> None:
        self.kind = (self.way, self.given.shape, self.file, self.tiling)
        if self.exact:
            self.alone()

    @property
    def latent_pixels(self) -> int:
        """Pixels of the latents, before or behind."""
        height, width = self.given.shape[-2:]
        return height * width // (self.downscale**2 if self.way == "encode" else 1)

    @property
    def cost(self) -> int:
        """The work of one turn of it, in latent pixels."""
        turns = 1 if self.latent_pixels <= TOGETHER else _TURNS
        return max(1, self.latent_pixels * _ROWS[self.way] // turns)

    def alone(self) -> None:
        """From now on it goes in nobody's company."""
        self.kind = (*self.kind, id(self)) if isinstance(self.kind, tuple) else (self.kind, id(self))


@dataclass(eq=False)
class OtherCheckpoint:
    """The picture goes on with another checkpoint; answered when it serves."""

    file: ModelFile


@dataclass(eq=False)
class UpscaleCall:
    """A pass of an upscaler or a face restorer over a picture, or a look for faces or words, answered by what
    it makes. Each goes alone.

    `run` is how far it is: it goes with the picture, whatever becomes of that.
    """

    run: UpscaleRun | FilterRun | FaceRun | FaceSearch | InterrogationRun

    @property
    def kind(self) -> Hashable:
        """Its own: nobody shares it."""
        return ("upscale", id(self))

    @property
    def cost(self) -> int:
        """The work of one turn of it, in latent pixels."""
        return self.run.cost


DeviceCall = BackboneCall | VaeCall | UpscaleCall | OtherCheckpoint
