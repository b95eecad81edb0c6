"""Draws one picture on a checkpoint in memory, without an engine around it; and makes control models."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel
from PIL import Image
from safetensors.torch import save_file

from easel.models import Architecture, Kind, ModelFile, Store
from easel.studio.engine import TextToImage
from easel.studio.engine.calls.device_calls import BackboneCall, VaeCall
from easel.studio.engine.calls.vae_runs import VaeRun
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.checkpoints.skeleton import skeleton
from easel.studio.engine.control_models.controls import prepared_controls
from easel.studio.engine.control_models.image_prompts import prepared_image_prompts
from easel.studio.engine.picture import Picture, call_unet
from easel.studio.engine.queue.job import Job
from easel.studio.engine.serving import Serving
from easel.studio.engine.text_models.tokenizer import shared_tokenizer
from easel.studio.engine.texts.picture_prompts import picture_prompts
from easel.studio.families import family
from tests.studio.engine.conftest import STARTER
from tests.studio.engine.tiny import Tiny

CPU = torch.device("cpu")
_OUTER = ("controlnet_down", "controlnet_mid", "controlnet_cond_embedding.conv_out", "spatial_ch_projs")


def spoken(module: Any, strength: float = 0.05) -> Any:
    """The module with what training begins at zero set to something."""
    for name, one in module.named_parameters():
        if name.startswith(_OUTER):
            torch.nn.init.normal_(one, std=strength)
    return module.eval()


def controlnet(unet: Any, seed: int = 0, kind: Any = ControlNetModel, **config: Any) -> Any:
    """A ControlNet of this UNet whose outer convolutions say something."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return spoken(kind.from_unet(unet, **config))


def in_memory(small: Tiny) -> Checkpoint:
    """Its modules as a checkpoint."""
    file = ModelFile(Path("tiny.safetensors"), "tiny.safetensors", Kind.CHECKPOINT, 1, 1.0)
    tokenizers = tuple(shared_tokenizer(one.pad_token) for one in small.family.text_encoders)
    parts = small.modules
    return Checkpoint(
        file, small.family, parts.backbone, parts.vae, parts.text_encoders, tokenizers, CPU, torch.float32, 1
    )


def starter_store(root: Path) -> Store:
    """The starter, with a ControlNet `net` of its shape."""
    (root / "Stable-diffusion").mkdir()
    shutil.copy(STARTER, root / "Stable-diffusion")
    unet = type(skeleton(family(Architecture.STARTER)).backbone)
    config = unet.load_config(family(Architecture.STARTER).folder / "unet" / "config.json")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = unet.from_config(config)
    stored(root, "net", dict(controlnet(made).state_dict()))
    return Store(root)


def stored(root: Path, name: str, tensors: dict[str, torch.Tensor], **metadata: str) -> ModelFile:
    """A file among the store's ControlNets."""
    folder = root / "ControlNet"
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / f"{name}.safetensors", metadata or None)
    return Store(root).find(Kind.CONTROLNET, name)


@torch.inference_mode()
def drawn(checkpoint: Checkpoint, request: TextToImage, root: Path) -> Image.Image:
    """The picture of a request, call by call."""
    resolved, store = request.resolved(), Store(root)
    job = Job(
        "ada",
        resolved,
        checkpoint.file,
        prompts=picture_prompts(resolved, store),
        controls=prepared_controls(resolved, store, ()),
        image_prompts=prepared_image_prompts(resolved, store, ()),
    )
    serving, picture = Serving(checkpoint), Picture(job, 0)
    serving.control_models.need(job.controls)
    serving.image_prompts.need(job.image_prompts, 0)
    picture.begin(serving)
    while picture.image is None:
        assert isinstance(picture.call, BackboneCall | VaeCall)
        picture.answer(_answers(checkpoint, [picture.call])[0])
    return picture.image


def _answers(checkpoint: Checkpoint, calls: Sequence[Any]) -> Sequence[Any]:
    if isinstance(calls[0], BackboneCall):
        return call_unet(checkpoint.backbone, list(calls), checkpoint.dtype)
    run, answers = VaeRun(list(calls)), None
    while answers is None:
        answers = run.go_on(10.0)
    return answers
