"""From training state to what ships: the configuration folder of the family and the one checkpoint file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from scripts.starter import denoiser, vae
from scripts.starter.exam import pipeline
from scripts.starter.layout import checkpoint
from scripts.starter.pictures import SIDE, draw, sample

TITLE = "Easel starter"


def write_checkpoint(work: Path, file: Path) -> None:
    """One .safetensors in half precision under Stable Diffusion's own names, as any other checkpoint."""
    text, unet = denoiser.load(work)
    tensors = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in checkpoint(unet, vae.load(work), text).items()
    }
    metadata = {
        "format": "pt",
        "easel.family": "starter",
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "easel-starter-v1",
        "modelspec.implementation": "diffusers",
        "modelspec.title": TITLE,
        "modelspec.author": "The Easel authors",
        "modelspec.license": "Apache-2.0",
        "modelspec.description": "Coloured shapes on coloured grounds, trained from scratch",
        "modelspec.resolution": f"{SIDE}x{SIDE}",
        "modelspec.prediction_type": "v",
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".part")
    save_file(tensors, fresh, metadata=metadata)
    fresh.chmod(0o644)  # safetensors makes it its owner's only, and the container runs as someone else
    fresh.replace(file)


def begin_from(file: Path, work: Path) -> None:
    """Take the weights of a written checkpoint as the start of further training of text encoder and UNet."""
    pipe = pipeline(file)
    vae.save_state(work / "vae.pt", vae=pipe.vae.state_dict(), sharpened=0.0)
    denoiser.seed_from(work, pipe.text_encoder, pipe.unet)


def write_family(folder: Path, work: Path) -> None:
    """The whole folder of the family: its configuration, and the colours of its latents."""
    write_configuration(folder)
    _write(folder / "preview.json", preview(work))


def write_configuration(folder: Path) -> None:
    """What diffusers needs beside the file; the tokenizer is shared and lies elsewhere."""
    nothing: list[Any] = [None, None]
    index = {
        "_class_name": "StableDiffusionPipeline",
        "feature_extractor": nothing,
        "image_encoder": nothing,
        "requires_safety_checker": False,
        "safety_checker": nothing,
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    scheduler = {"_class_name": "EulerDiscreteScheduler", **denoiser.SCHEDULER}
    text = {"architectures": ["CLIPTextModel"], "model_type": "clip_text_model", **denoiser.TEXT}
    _write(folder / "model_index.json", index)
    _write(folder / "scheduler" / "scheduler_config.json", scheduler)
    _write(folder / "text_encoder" / "config.json", text)
    _write(folder / "unet" / "config.json", {"_class_name": "UNet2DConditionModel", **denoiser.UNET})
    _write(folder / "vae" / "config.json", {"_class_name": "AutoencoderKL", **vae.CONFIG})


def preview(work: Path, count: int = 400) -> dict[str, Any]:
    """The best linear guess of an 8x8 patch's mean colour from its latent (least squares)."""
    rng = np.random.default_rng(11)
    pixels = np.stack([draw(sample(rng)) for _ in range(count)])
    latents = vae.encode(vae.load(work), pixels).permute(0, 2, 3, 1).reshape(-1, 4)
    colours = F.avg_pool2d(vae.tensor(pixels), 8).permute(0, 2, 3, 1).reshape(-1, 3)
    known = torch.cat([latents, torch.ones(len(latents), 1)], dim=1)
    found = torch.linalg.lstsq(known, colours).solution
    rounded = [[round(value, 4) for value in row] for row in found.tolist()]
    return {"factors": rounded[:4], "bias": rounded[4]}


def _write(file: Path, content: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
