"""The starter's VAE: 128 pixels to 16 latents a side, and its training."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from scripts.starter.clock import Clock, pace
from scripts.starter.pictures import Pixels, draw, sample

log = logging.getLogger(__name__)

SCALING_FACTOR = 0.18215
"""What Stable Diffusion 1 multiplies latents by; `whiten` makes it right for ours too."""

CONFIG: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "sample_size": 128,
    "block_out_channels": [16, 32, 64, 64],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "act_fn": "silu",
    "scaling_factor": SCALING_FACTOR,
}

_FINISHED = "vae.pt"
_POOL = 9000
_LEARNING_RATE = 2e-3
_KL_WEIGHT = 3e-4
_SHARPEN_RATE = 1e-3
_SAVE_EVERY = 150.0


def build() -> AutoencoderKL:
    """A VAE with fresh weights."""
    vae: AutoencoderKL = AutoencoderKL.from_config(CONFIG)
    return vae


def train(work: Path, minutes: float, seed: int, *, resume: bool) -> AutoencoderKL:
    """Train for `minutes` by the clock and return the VAE, its latents made unit-sized.

    The first three quarters go to 64-pixel cut-outs, which cost a quarter of a whole
    picture; the rest to whole pictures.
    """
    torch.manual_seed(seed)
    state_file = work / "vae-state.pt"
    state = torch.load(state_file, weights_only=True) if resume and state_file.exists() else None
    if state is not None and state["seconds"] >= 60 * minutes and (work / _FINISHED).exists():
        return load(work)
    vae = build().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(vae.parameters(), lr=_LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    step, spent = 0, 0.0
    if state is not None:
        vae.load_state_dict(state["vae"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent = int(state["step"]), float(state["seconds"])
        log.info("VAE: going on from step %d, %.1f minutes", step, spent / 60)
    rng = np.random.default_rng((seed, 1, step))
    pool = _pictures(rng, _POOL)
    clock = Clock(minutes, spent)
    saved = clock.seconds
    vae.train()
    while clock.done < 1.0:
        whole = clock.done > 0.75
        batch = _batch(pool, rng, 12 if whole else 24, whole=whole)
        pace(optimiser, _LEARNING_RATE, step, clock.done)
        loss, flat = _loss(vae, batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimiser.step()
        step += 1
        if step % 200 == 0:
            log.info(
                "VAE step %d, %.0f %%: loss %.4f, colour off by %.4f",
                step,
                100 * clock.done,
                float(loss),
                float(flat),
            )
        if clock.seconds - saved > _SAVE_EVERY or clock.done >= 1.0:
            saved = clock.seconds
            save_state(
                state_file, vae=vae.state_dict(), optimiser=optimiser.state_dict(), step=step, seconds=saved
            )
    vae.eval()
    whiten(vae, _pictures(np.random.default_rng((seed, 2)), 1000))
    save_state(work / _FINISHED, vae=vae.state_dict(), sharpened=0.0)
    return vae


def sharpen(work: Path, minutes: float, seed: int) -> AutoencoderKL:
    """Train the decoder of a finished VAE for `minutes` by the clock; the latents stay what they are.

    Text encoder and UNet can learn meanwhile: they see the encoder only. Small shapes get most of the work,
    and pixels near an outline most of the loss: after `train` alone four small stars in ten come back as
    discs. The latents get a little noise, as a sampler leaves in them.
    """
    torch.manual_seed(seed)
    vae = load(work).to(memory_format=torch.channels_last).requires_grad_(False)
    trained = [*vae.decoder.requires_grad_(True).parameters(), *vae.post_quant_conv.parameters()]
    optimiser = torch.optim.AdamW(trained, lr=_SHARPEN_RATE, betas=(0.9, 0.99), weight_decay=0.0)
    rng = np.random.default_rng((seed, 4))
    pool = _pictures(rng, _POOL, small=0.6)
    latents = encode(vae, pool) / SCALING_FACTOR
    spread = float(latents.std())
    clock = Clock(minutes, float(torch.load(work / _FINISHED, weights_only=True).get("sharpened", 0.0)))
    step, saved = 0, clock.seconds
    while clock.done < 1.0:
        places = rng.integers(0, len(pool), 24)
        y, x = rng.integers(0, 9, 2)
        seen = latents[places, :, y : y + 8, x : x + 8]
        seen = seen + torch.randn_like(seen) * spread * 0.15 * torch.rand(len(seen), 1, 1, 1)
        wanted = tensor(pool[places, y * 8 : y * 8 + 64, x * 8 : x * 8 + 64])
        pace(optimiser, _SHARPEN_RATE, step, clock.done)
        drawn = vae.decode(seen.contiguous(memory_format=torch.channels_last)).sample
        outline = F.max_pool2d((wanted - F.avg_pool2d(wanted, 5, 1, 2)).abs().amax(1, keepdim=True), 5, 1, 2)
        weight = 1.0 + 6.0 * (outline > 0.05).float()
        loss = ((drawn - wanted).abs() * weight).mean() + _edges(drawn, wanted)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        step += 1
        if step % 200 == 0:
            log.info("VAE decoder step %d, %.0f %%: loss %.4f", step, 100 * clock.done, float(loss))
        if clock.seconds - saved > _SAVE_EVERY or clock.done >= 1.0:
            saved = clock.seconds
            save_state(work / _FINISHED, vae=vae.state_dict(), sharpened=saved)
    return vae.eval()


def load(work: Path) -> AutoencoderKL:
    """The VAE that `train` finished."""
    vae = build()
    vae.load_state_dict(torch.load(work / _FINISHED, weights_only=True)["vae"])
    vae.eval()
    return vae


def tensor(pixels: Pixels) -> torch.Tensor:
    """Pictures (N, H, W, 3) as a batch the VAE takes: channels first, from -1 to 1."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1.0


@torch.no_grad()
def encode(vae: AutoencoderKL, pixels: Pixels) -> torch.Tensor:
    """Latents as the UNet sees them (the mean of the posterior, scaled)."""
    parts = []
    for part in np.array_split(pixels, max(1, len(pixels) // 32)):
        batch = tensor(part).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            parts.append(vae.encode(batch).latent_dist.mean.float() * SCALING_FACTOR)
    return torch.cat(parts).contiguous()


@torch.no_grad()
def whiten(vae: AutoencoderKL, pixels: Pixels) -> None:
    """Fold a change of basis into the two 1x1 convolutions around the latents.

    After it the latents of `pixels`, times the scaling factor, have mean 0, variance 1
    and no correlation between channels. The single-file layout has no place for such
    numbers, so they must live in the weights.
    """
    latents = encode(vae, pixels) / SCALING_FACTOR
    flat = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1]).double()
    mean = flat.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(flat.T))
    ahead = vectors @ torch.diag(values.rsqrt()) @ vectors.T / SCALING_FACTOR
    back = torch.linalg.inv(ahead)
    channels = len(mean)
    quant, post = vae.quant_conv, vae.post_quant_conv
    kernel = quant.weight.double().flatten(1)
    quant.weight[:channels] = (ahead @ kernel[:channels])[..., None, None].float()
    quant.bias[:channels] = (ahead @ (quant.bias[:channels].double() - mean)).float()
    # the spread of the posterior no longer means much: keep it small and constant
    quant.weight[channels:] = 0
    quant.bias[channels:] = -4.0
    kernel = post.weight.double().flatten(1)
    post.bias += (kernel @ mean).float()
    post.weight[:] = (kernel @ back)[..., None, None].float()


def _loss(vae: AutoencoderKL, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.autocast("cpu", torch.bfloat16):
        posterior = vae.encode(batch).latent_dist
        drawn = vae.decode(posterior.sample()).sample
    drawn = drawn.float()
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    kl = 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).mean()
    pixel = (drawn - batch).abs().mean()
    edges = _edges(drawn, batch)
    flat = (F.avg_pool2d(drawn, 8) - F.avg_pool2d(batch, 8)).abs().mean()
    return pixel + edges + flat + _KL_WEIGHT * kl, flat.detach()


def _edges(drawn: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
    off = drawn - batch
    return off.diff(dim=2).abs().mean() + off.diff(dim=3).abs().mean()


def _pictures(rng: np.random.Generator, count: int, small: float = 0.0) -> Pixels:
    """Pictures for the VAE: a quarter in any colours at all, so that it knows more than eight.

    `small` is as in `sample`.
    """
    pictures = []
    for index in range(count):
        scene = sample(rng, small=small)
        if index % 4 == 0:
            paint, backdrop = (tuple(int(c) for c in rng.integers(0, 256, 3)) for _ in range(2))
            scene = type(scene)(**{**vars(scene), "paint": paint, "backdrop": backdrop})
        pictures.append(draw(scene))
    return np.stack(pictures)


def _batch(pool: Pixels, rng: np.random.Generator, size: int, *, whole: bool) -> torch.Tensor:
    chosen = pool[rng.integers(0, len(pool), size)]
    if not whole:
        x, y = rng.integers(0, chosen.shape[1] - 63, 2)
        chosen = chosen[:, y : y + 64, x : x + 64]
    batch = tensor(chosen)
    if rng.random() < 0.5:
        batch = batch.flip(3)
    return batch.contiguous(memory_format=torch.channels_last)


def save_state(file: Path, **state: Any) -> None:
    """Write a state so that a kill at any moment leaves the old one or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".part")
    torch.save(state, fresh)
    fresh.replace(file)
