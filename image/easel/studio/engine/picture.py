"""One picture on its way through the sampler: its own seed, noise, schedule, guidance and position."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from easel.models import ModelFile
from easel.studio.engine.checkpoint import Checkpoint
from easel.studio.engine.conditioning import HowToEncode, PromptEncoder
from easel.studio.engine.decode import cost as decoding_cost
from easel.studio.engine.embeddings import Embedding
from easel.studio.engine.job import Job
from easel.studio.engine.noise import PictureNoise
from easel.studio.engine.samplers import make_scheduler, step_noise


class Undecoded(NamedTuple):
    """The kind of a picture that waits for its VAE: those of one size and VAE may go together."""

    latent_pixels: int
    shape: torch.Size
    vae: ModelFile | None
    alone: int


@dataclass(eq=False)
class Picture:
    """A picture that waits or is being drawn. `begin` gives it everything that depends on the checkpoint."""

    job: Job
    index: int
    waiting_since: float = field(default_factory=time.monotonic)
    position: int = 0
    calls: int = 0
    partial: bool = False
    vae: Any = None
    """The VAE to decode with, None for the checkpoint's own; held here from the beginning to the end."""

    @property
    def owner(self) -> str:
        """Whose picture this is."""
        return self.job.owner

    @property
    def seed(self) -> int:
        """A1111's rule: the request's seed plus the picture's number, unless a subseed varies one seed."""
        request = self.job.request
        return request.seed if request.subseed_strength else request.seed + self.index

    @property
    def subseed(self) -> int:
        """The variation seed of this picture."""
        return self.job.request.subseed + self.index

    def begin(
        self, checkpoint: Checkpoint, encoder: PromptEncoder, embeddings: Mapping[str, Embedding]
    ) -> None:
        """Encode the prompts, draw the first noise, lay out the schedule.

        `embeddings` are those that the prompts name, by names in lower case.
        """
        request = self.job.request
        family = checkpoint.family
        sampler, schedule = request.method()
        shape = (
            family.latent_channels,
            request.height // family.downscale,
            request.width // family.downscale,
        )
        noise = PictureNoise(request, shape, self.seed, self.subseed, checkpoint.device).first()
        # diffusers' schedulers take torch's generators only: this one goes on where the first noise ended
        later = torch.Generator("cpu").manual_seed(self.seed)
        torch.randn(shape, generator=later)
        device = str(checkpoint.device)
        self._scheduler = make_scheduler(
            family.scheduler_config, sampler, schedule, request.steps, self.seed, device
        )
        self.latents = noise * float(self._scheduler.init_noise_sigma)
        self._step_arguments = step_noise(self._scheduler, later, request.sampling.eta_ddim)
        self.timesteps: torch.Tensor = self._scheduler.timesteps
        self.calls = len(self.timesteps)
        # negative + scale·(positive - negative): at 1, and nowhere else, the negative prompt cancels out
        self.guided = request.cfg_scale != 1.0
        asked = self.job.asked
        loras = tuple((use.file, use.te) for use in asked.loras if use.te)
        how = HowToEncode(request.clip_skip, request.sdxl_clip_l_skip, embeddings, loras)
        prompt, negative = encoder.encode_pair(asked.prompt, asked.negative_prompt, how)
        both = (negative, prompt) if self.guided else (prompt,)
        # (2 or 1, tokens, width): the negative prompt first, as diffusers has it
        self.attended = torch.cat([conditioning.tokens for conditioning in both])
        self.added = self._added(checkpoint, [conditioning.pooled for conditioning in both])
        self.kind: Hashable = (
            family.name,
            shape,
            self.attended.shape[0],
            self.attended.shape[1],
            str(checkpoint.dtype),
            # what the UNet is, for this picture
            tuple((use.file, use.unet) for use in asked.loras if use.unet),
        )
        self.cost = shape[1] * shape[2] * self.attended.shape[0]

    def _added(self, checkpoint: Checkpoint, pooled: list[torch.Tensor | None]) -> dict[str, torch.Tensor]:
        """SDXL's micro-conditioning: pooled embeddings, and the size that the picture claims to be cut from.

        Podell et al., arXiv 2307.01952, section 2.2.
        """
        family = checkpoint.family
        if not family.pooled:
            return {}
        request = self.job.request
        size = [request.height, request.width, 0, 0]
        # the refiner was trained on an aesthetic score in place of a target size: 6 for good, 2.5 for bad
        ids = [
            [*size, score] if family.aesthetic_score else [*size, request.height, request.width]
            for score in ((2.5, 6.0) if self.guided else (6.0,))
        ]
        text = torch.cat([embedding for embedding in pooled if embedding is not None])
        return {"text_embeds": text, "time_ids": torch.tensor(ids, device=text.device, dtype=text.dtype)}

    @property
    def timestep(self) -> torch.Tensor:
        """The timestep of the next UNet call, a scalar."""
        return self.timesteps[self.position]

    @property
    def finished(self) -> bool:
        """Whether there is no UNet call to make any more."""
        return self.partial or self.position >= self.calls

    @property
    def pixels(self) -> int:
        """Pixels of the picture."""
        return self.job.request.width * self.job.request.height

    def await_decoding(self, *, alone: bool = False) -> None:
        """From now on its turns are its decoding's; `alone`: in nobody's company."""
        shape = self.latents.shape
        latent_pixels = shape[-2] * shape[-1]
        self.kind = Undecoded(latent_pixels, shape, self.job.vae, id(self) if alone else 0)
        self.cost = decoding_cost(latent_pixels)

    def stop_here(self) -> None:
        """Finish with what is there by now (A1111's interrupt)."""
        if not self.finished:
            self.latents = self.estimate()
            self.partial = True

    @property
    def step(self) -> int:
        """Sampler steps done: second-order samplers make two calls for one."""
        return self.position * self.job.request.steps // self.calls if self.calls else 0

    def model_input(self) -> torch.Tensor:
        """The latents as the UNet wants them at this timestep, (1, channels, height/8, width/8), float32."""
        scaled: torch.Tensor = self._scheduler.scale_model_input(self.latents, self.timestep)
        return scaled

    def advance(self, seen: torch.Tensor, output: torch.Tensor) -> None:
        """Take the UNet's answer for `seen` (rows of this picture), guide it, and let the sampler step.

        Guidance is classifier-free: Ho and Salimans, arXiv 2207.12598.
        """
        output = output.float()
        if self.guided:
            negative, positive = output.chunk(2)
            output = negative + self.job.request.cfg_scale * (positive - negative)
        self._seen = (seen, output, self.timestep)
        self.latents = self._scheduler.step(
            output, self.timestep, self.latents, return_dict=False, **self._step_arguments
        )[0]
        self.position += 1

    def estimate(self) -> torch.Tensor:
        """What the finished latents would be, by the last call; for previews and interrupted pictures.

        DDIM's predicted x0 (arXiv 2010.02502, equation 9), and that of v-prediction (arXiv 2202.00512).
        Whatever space a sampler keeps its latents in, the UNet sees `a·x0 + s·noise` with `a² + s² = 1`.
        """
        if self.position == 0:
            return torch.zeros_like(self.latents)
        seen, output, timestep = self._seen
        index = timestep.round().long().clamp(0, len(self._scheduler.alphas_cumprod) - 1).cpu()
        kept = self._scheduler.alphas_cumprod[index].to(seen)
        a, s = kept.sqrt(), (1 - kept).sqrt()
        if self._scheduler.config.prediction_type == "v_prediction":
            estimate: torch.Tensor = a * seen - s * output
        else:
            estimate = (seen - s * output) / a
        return estimate


def call_unet(checkpoint: Checkpoint, pictures: list[Picture], extra: torch.Tensor | None) -> None:
    """One UNet call for pictures of one kind, each at its own timestep, then one sampler step for each.

    `extra` are the channels beside the latents of inpainting checkpoints, (1, n, height/8, width/8).
    """
    seen = [picture.model_input() for picture in pictures]
    rows = pictures[0].attended.shape[0]
    latents = torch.cat([one for one in seen for _ in range(rows)])
    if extra is not None:
        latents = torch.cat([latents, extra.expand(len(latents), -1, -1, -1)], dim=1)
    timesteps = torch.stack([picture.timestep for picture in pictures for _ in range(rows)])
    attended = torch.cat([picture.attended for picture in pictures])
    added: dict[str, Any] = {}
    if pictures[0].added:
        added["added_cond_kwargs"] = {
            name: torch.cat([picture.added[name] for picture in pictures]) for name in pictures[0].added
        }
    output = checkpoint.unet(
        latents.to(checkpoint.dtype),
        timesteps.to(checkpoint.device),
        encoder_hidden_states=attended,
        return_dict=False,
        **added,
    )[0]
    for picture, one, answer in zip(pictures, seen, output.split(rows), strict=True):
        picture.advance(one, answer)
