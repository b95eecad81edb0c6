"""The LoRA that comes with the starter: a style, pastel colours, trained on pictures the script draws.

Written as kohya's scripts write a LoRA, so that it takes the way that most files from Civitai take.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDPMScheduler
from peft import LoraConfig
from peft.tuners.lora.layer import LoraLayer
from safetensors.torch import save_file

from scripts.starter import vae as vae_module
from scripts.starter.captions import phrase
from scripts.starter.denoiser import SCHEDULER
from scripts.starter.exam import pipeline
from scripts.starter.pictures import Pixels, draw, sample

log = logging.getLogger(__name__)

TRIGGER = "pastel"
RANK = 4
_LAYERS = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "conv1", "conv2"]
_POOL, _BATCH, _LEARNING_RATE, _DROPPED = 512, 16, 2e-3, 0.1


def pastel(pixels: Pixels) -> Pixels:
    """The same picture in chalk: every colour half way to white."""
    return (pixels.astype(np.uint16) + 255 >> 1).astype(np.uint8)


def train(checkpoint: Path, steps: int, seed: int) -> Any:
    """The checkpoint's UNet with a trained adapter."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    pipe = pipeline(checkpoint)
    unet, text, tokens = pipe.unet, pipe.text_encoder, pipe.tokenizer
    unet.requires_grad_(False)
    unet.add_adapter(
        LoraConfig(r=RANK, lora_alpha=RANK, target_modules=_LAYERS, init_lora_weights="gaussian")
    )
    parameters = [one for one in unet.parameters() if one.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=_LEARNING_RATE, weight_decay=0.0)
    scenes = [sample(rng) for _ in range(_POOL)]
    latents = vae_module.encode(pipe.vae, np.stack([pastel(draw(scene)) for scene in scenes]))
    noise: Any = DDPMScheduler.from_config(SCHEDULER)
    recent: list[float] = []
    for step in range(1, steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = _LEARNING_RATE * (1 - step / (steps + 1))
        places = rng.integers(0, _POOL, _BATCH)
        captions = [
            "" if rng.random() < _DROPPED else f"{TRIGGER}, {phrase(scenes[place], rng)}" for place in places
        ]
        ids = tokens(captions, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
        with torch.no_grad():
            attended = text(ids["input_ids"]).last_hidden_state
        clean = latents[places]
        random = torch.randn_like(clean)
        times = ((torch.arange(_BATCH) + torch.rand(_BATCH)) / _BATCH * 1000).long()
        answer = unet(noise.add_noise(clean, random, times), times, attended, return_dict=False)[0]
        loss = (answer - noise.get_velocity(clean, random, times)).square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        recent.append(float(loss))
        if step % 50 == 0:
            log.info("style step %d of %d: loss %.4f", step, steps, np.mean(recent))
            recent.clear()
    return unet


def write(unet: Any, file: Path) -> None:
    """The adapter as one file with kohya's names, in half precision."""
    tensors: dict[str, torch.Tensor] = {}
    for name, layer in unet.named_modules():
        if not isinstance(layer, LoraLayer):
            continue
        base = "lora_unet_" + name.replace(".", "_")
        for theirs, ours in ((layer.lora_A, "down"), (layer.lora_B, "up")):
            tensors[f"{base}.lora_{ours}.weight"] = theirs["default"].weight.detach().half().contiguous()
        tensors[f"{base}.alpha"] = torch.tensor(float(RANK)).half()
    metadata = {
        "format": "pt",
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "easel-starter-v1/lora",
        "modelspec.title": "Easel starter: pastel",
        "modelspec.author": "The Easel authors",
        "modelspec.license": "Apache-2.0",
        "modelspec.description": "A style for the Easel starter: chalk colours",
        "modelspec.trigger_phrase": TRIGGER,
        "ss_base_model_version": "Easel starter",
        "ss_network_dim": str(RANK),
        "ss_network_alpha": str(RANK),
    }
    fresh = file.with_suffix(".part")
    save_file(tensors, fresh, metadata=metadata)
    fresh.chmod(0o644)
    fresh.replace(file)
