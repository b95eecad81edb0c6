"""The starter's text encoder and UNet, and their training: words and noise to latents."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from scripts.starter import vae as vae_module
from scripts.starter.captions import phrase, plain, words
from scripts.starter.clock import Clock, pace
from scripts.starter.pictures import Scene, draw, sample

log = logging.getLogger(__name__)

FAMILIES = Path(__file__).parents[2] / "image" / "easel" / "studio" / "families"

WIDTH = 64
"""Width of a token: 49,408 of them are a third of the file."""

TEXT: dict[str, Any] = {
    "vocab_size": 49408,
    "hidden_size": WIDTH,
    "intermediate_size": 4 * WIDTH,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "projection_dim": WIDTH,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
    "pad_token_id": 49407,
}
UNET: dict[str, Any] = {
    "sample_size": 16,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": [48, 96, 128],
    # Words are attended to at 8x8 and 4x4, where a shape is a few cells; 16x16 would cost a third more.
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "layers_per_block": 1,
    "cross_attention_dim": WIDTH,
    "attention_head_dim": 4,
    "norm_num_groups": 16,
    "act_fn": "silu",
}
SCHEDULER: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    # Ends at one part signal in 160 parts noise: a plain ground has to come from the words, not from what
    # shines through. Exactly zero would be an infinite sigma, which half of the samplers cannot start from.
    "beta_end": 0.025,
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}

_STATE = "denoiser-state.pt"
_BATCH = 32
_LEARNING_RATE = 1.2e-3
# A text encoder that learns as fast as the UNet settles on the loudest word.
_TEXT_PACE = 0.4
_POOL = 9000
_REFRESH_EVERY = 4
_REFRESH = 8
# At an even share of sizes one small shape in four came out wrong, and one of the others in twenty.
_SMALL = 0.35
_DROPPED = 0.12
_AVERAGE = 0.998
_SAVE_EVERY = 150.0


def build() -> tuple[CLIPTextModel, UNet2DConditionModel]:
    """Both with fresh weights. Tokens that no caption has stay small, so that unknown words do little.

    Tokens that captions have start large. At CLIP's own 0.02, in a model this narrow, the first layers drown
    them: training then hears one word only (the ground's, which explains most of the loss), maps all others
    to the same vector, and never comes back. That cost the first try 2,700 steps.
    """
    text = CLIPTextModel(CLIPTextConfig(**TEXT))
    table = text.get_input_embeddings().weight
    torch.nn.init.normal_(table, std=0.02)
    used = sorted({token for word in words() for token in tokenizer()(word)["input_ids"]})
    with torch.no_grad():
        table[used] = torch.randn(len(used), WIDTH) * 0.5
    unet: UNet2DConditionModel = UNet2DConditionModel.from_config(UNET)
    return text, unet.to(memory_format=torch.channels_last)


def tokenizer() -> CLIPTokenizer:
    """The one that ships."""
    found: CLIPTokenizer = CLIPTokenizer.from_pretrained(FAMILIES / "tokenizer")
    return found


def easy(done: float) -> float:
    """The share of easy scenes: many at first, none from two fifths of the time on.

    Where a shape may be anywhere, its colour's word explains next to nothing of the loss; a large shape in
    the middle makes it worth hearing.
    """
    return max(0.0, 0.5 * (1 - done / 0.4))


class ScenePool:
    """Scenes with their latents, drawn and encoded once, renewed little by little."""

    def __init__(self, vae: AutoencoderKL, rng: np.random.Generator, size: int, done: float) -> None:
        self._vae, self._rng = vae, rng
        self._scenes = [sample(rng, easy(done), _SMALL) for _ in range(size)]
        self._latents = vae_module.encode(vae, np.stack([draw(scene) for scene in self._scenes]))

    def renew(self, count: int, done: float) -> None:
        """Replace some scenes by new ones."""
        places = self._rng.integers(0, len(self._scenes), count)
        scenes = [sample(self._rng, easy(done), _SMALL) for _ in places]
        latents = vae_module.encode(self._vae, np.stack([draw(scene) for scene in scenes]))
        for place, scene, latent in zip(places, scenes, latents, strict=True):
            self._scenes[place] = scene
            self._latents[place] = latent

    def batch(self, count: int) -> tuple[torch.Tensor, list[Scene]]:
        """Latents and scenes at random."""
        places = self._rng.integers(0, len(self._scenes), count)
        return self._latents[places], [self._scenes[place] for place in places]


def train(work: Path, minutes: float, seed: int, *, resume: bool) -> None:
    """Train for `minutes` by the clock, on the VAE that `vae.train` left in `work`."""
    torch.manual_seed(seed)
    text, unet = build()
    average = copy.deepcopy(unet), copy.deepcopy(text)
    parameters = [*text.parameters(), *unet.parameters()]
    optimiser = _optimiser(text, unet)
    step, spent = 0, 0.0
    if resume and (work / _STATE).exists():
        state = torch.load(work / _STATE, weights_only=True)
        for module, name in (
            (text, "text"),
            (unet, "unet"),
            (average[0], "unet_average"),
            (average[1], "text_average"),
        ):
            module.load_state_dict(state[name])
        optimiser.load_state_dict(state["optimiser"])
        step, spent = int(state["step"]), float(state["seconds"])
        log.info("denoiser: going on from step %d, %.1f minutes", step, spent / 60)
    rng = np.random.default_rng((seed, 3, step))
    pool = ScenePool(vae_module.load(work), rng, _POOL, spent / 60 / minutes)
    log.info("denoiser: pool of %d pictures", _POOL)
    clock = Clock(minutes, spent)
    saved = clock.seconds
    tokens = tokenizer()
    noise = DDPMScheduler.from_config(SCHEDULER)
    recent: list[float] = []
    while clock.done < 1.0:
        if step % _REFRESH_EVERY == 0:
            pool.renew(_REFRESH, clock.done)
        pace(optimiser, _LEARNING_RATE, step, clock.done)
        loss = _loss(text, unet, tokens, noise, *pool.batch(_BATCH), rng, clock.done)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step += 1
        _follow(average, (unet, text), min(_AVERAGE, step / (step + 20)))
        recent.append(float(loss))
        if step % 100 == 0:
            log.info(
                "denoiser step %d, %.0f %%, %.1f min: loss %.4f",
                step,
                100 * clock.done,
                clock.seconds / 60,
                np.mean(recent),
            )
            recent.clear()
        if clock.seconds - saved > _SAVE_EVERY or clock.done >= 1.0:
            saved = clock.seconds
            _save(work, (text, unet), (average[1], average[0]), optimiser, step, saved)


def seed_from(work: Path, text: CLIPTextModel, unet: UNet2DConditionModel) -> None:
    """Make the next `train` in `work` begin with these weights, at the start of its clock."""
    _save(work, (text, unet), (text, unet), _optimiser(text, unet), 0, 0.0)


def _optimiser(text: CLIPTextModel, unet: UNet2DConditionModel) -> torch.optim.AdamW:
    groups = [
        {"params": list(text.parameters()), "pace": _TEXT_PACE},
        {"params": list(unet.parameters()), "pace": 1.0},
    ]
    return torch.optim.AdamW(groups, lr=_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True)


def _save(
    work: Path,
    last: tuple[CLIPTextModel, UNet2DConditionModel],
    averaged: tuple[CLIPTextModel, UNet2DConditionModel],
    optimiser: torch.optim.AdamW,
    step: int,
    seconds: float,
) -> None:
    vae_module.save_state(
        work / _STATE,
        text=last[0].state_dict(),
        unet=last[1].state_dict(),
        text_average=averaged[0].state_dict(),
        unet_average=averaged[1].state_dict(),
        optimiser=optimiser.state_dict(),
        step=step,
        seconds=seconds,
    )


def _loss(
    text: CLIPTextModel,
    unet: UNet2DConditionModel,
    tokens: CLIPTokenizer,
    noise: Any,
    latents: torch.Tensor,
    scenes: list[Scene],
    rng: np.random.Generator,
    done: float,
) -> torch.Tensor:
    captions = ["" if rng.random() < _DROPPED else _caption(scene, rng, done) for scene in scenes]
    ids = tokens(captions, padding="max_length", max_length=77, truncation=True, return_tensors="pt")[
        "input_ids"
    ]
    latents = latents.contiguous(memory_format=torch.channels_last)
    random = torch.randn_like(latents)
    # stratified: a batch sees every part of the schedule
    count = len(latents)
    shares = (torch.arange(count) + torch.rand(count)) / count
    # The words decide most between these noise levels, so most of the early training happens there.
    words_decide = torch.rand(count) < easy(done)
    times = torch.where(words_decide, 300 + shares * 650, shares * 1000).long()
    seen = noise.add_noise(latents, random, times)
    wanted = noise.get_velocity(latents, random, times)
    answer = unet(seen, times, text(ids).last_hidden_state, return_dict=False)[0]
    loss: torch.Tensor = (answer - wanted).square().mean()
    return loss


def _caption(scene: Scene, rng: np.random.Generator, done: float) -> str:
    return plain(scene) if rng.random() < easy(done) else phrase(scene, rng)


@torch.no_grad()
def _follow(average: tuple[Any, ...], modules: tuple[Any, ...], keep: float) -> None:
    for slow, fast in zip(average, modules, strict=True):
        ours, theirs = list(slow.parameters()), [p.detach() for p in fast.parameters()]
        torch._foreach_lerp_(ours, theirs, 1 - keep)


def load(work: Path) -> tuple[CLIPTextModel, UNet2DConditionModel]:
    """Text encoder and UNet, averaged over the last steps of training: they draw better so."""
    text, unet = build()
    state = torch.load(work / _STATE, weights_only=True)
    text.load_state_dict(state["text_average"])
    unet.load_state_dict(state["unet_average"])
    return text.eval(), unet.eval()
