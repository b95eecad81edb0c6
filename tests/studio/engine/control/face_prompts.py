"""FaceID and InstantID in a store with what they read faces by; and diffusers' pipelines as their judges."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import EulerDiscreteScheduler
from PIL import Image

from easel.models import Kind, Store
from easel.studio.engine import ControlUnit, TextToImage
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.control_models.face_vectors import face_files, face_vectors
from easel.studio.engine.control_models.image_prompt_layout import ImagePromptLayout
from easel.studio.png import encode
from tests.studio.engine.control import image_prompt_files as files
from tests.studio.engine.control.driving import drawn, in_memory
from tests.studio.engine.control.test_face_networks import ONE
from tests.studio.engine.tiny import Tiny

ASKED = TextToImage(prompt="a red circle", negative_prompt="green", width=128, height=128, steps=4, seed=7,
                    sampler="Euler", cfg_scale=4)  # fmt: skip
UNIT = ControlUnit(model="ip-faceid", module="ip-adapter_face_id", image=encode(ONE), weight=0.7)


def there(root: Path, networks: Path, tables: dict[str, files.Tensors], name: str = "ip-faceid") -> None:
    """The adapter and what it reads faces by in a store."""
    files.written(root / "ControlNet", name, tables)
    if not (root / networks.name).exists():
        (root / networks.name).symlink_to(networks)


def read(root: Path, image: Image.Image, name: str = "ip-faceid") -> torch.Tensor:
    """(1, 512): the numbers of its face, as the adapter gets them."""
    store = Store(root)
    file = store.find(Kind.CONTROLNET, name)
    layout = ImagePromptLayout.of(file)
    return torch.from_numpy(face_vectors(layout, face_files(layout, file, store), [image], -1).numbers)


def judge(whole: Checkpoint, kind: Any, **parts: Any) -> Any:
    """diffusers' pipeline of a checkpoint, with a UNet of its own to change."""
    config = {**whole.family.scheduler_config, "timestep_spacing": "linspace"}
    parts |= {"text_encoder": whole.text_encoders[0], "tokenizer": whole.tokenizers[0]}
    if len(whole.text_encoders) > 1:
        parts |= {"text_encoder_2": whole.text_encoders[1], "tokenizer_2": whole.tokenizers[1]}
    else:
        parts |= {"safety_checker": None, "requires_safety_checker": False}
    if "controlnet" not in parts:
        parts["image_encoder"] = None
    pipeline = kind(
        vae=whole.vae, unet=copy.deepcopy(whole.backbone),
        scheduler=EulerDiscreteScheduler.from_config(config), feature_extractor=None, **parts,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def pixels_of(pipeline: Any, **asked: Any) -> np.ndarray:
    found = pipeline(
        ASKED.prompt, height=128, width=128, num_inference_steps=ASKED.steps, guidance_scale=ASKED.cfg_scale,
        negative_prompt=ASKED.negative_prompt, generator=torch.Generator().manual_seed(ASKED.seed),
        output_type="np", **asked,
    )  # fmt: skip
    return (found.images[0] * 255).round().astype(int)


def ours(small: Tiny, root: Path, *units: ControlUnit, **fields: Any) -> np.ndarray:
    return np.asarray(drawn(in_memory(small), replace(ASKED, controls=units, **fields), root)).astype(int)


def apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one - other).max())
