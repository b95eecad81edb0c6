"""Z-Image, Flux.2 and Qwen-Image at full size, without memory: what was published, and parts that fit."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from easel.studio.engine.latents.latent_spaces import latent_space
from easel.studio.engine.loading.activations import counted
from easel.studio.engine.transformers.flux2 import Flux2Model
from easel.studio.engine.transformers.qwen_image import QwenImageModel
from easel.studio.engine.transformers.shifts import sigmas
from easel.studio.engine.transformers.z_image import ZImageModel
from easel.studio.families import HERE
from easel.studio.families.latents import latent_shape

# Family: its model, billions of parameters of its transformer, and of its VAE parameters and tensors.
VAE_FLUX, VAE_FLUX2, VAE_QWEN = (83_819_683, 244), (84_046_115, 251), (126_892_531, 194)
FAMILIES: dict[str, tuple[Any, float, tuple[int, int]]] = {
    "z-image": (ZImageModel(), 6.155, VAE_FLUX),
    "z-image-turbo": (ZImageModel(), 6.155, VAE_FLUX),
    "flux2": (Flux2Model(), 32.223, VAE_FLUX2),
    "flux2-klein-4b": (Flux2Model(), 3.876, VAE_FLUX2),
    "flux2-klein-9b": (Flux2Model(), 9.079, VAE_FLUX2),
    "qwen-image": (QwenImageModel(), 20.430, VAE_QWEN),
    "qwen-image-edit": (QwenImageModel(), 20.430, VAE_QWEN),
}


def _read(family: str, path: str) -> Any:
    return json.loads((HERE / family / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_are_those_that_were_published(family: str) -> None:
    """Parameters of the transformer as on its card, of the VAE to the last one."""
    model, billions, (parameters, tensors) = FAMILIES[family]
    network = model.skeleton(_read(family, "transformer/config.json"))
    assert round(sum(one.numel() for one in network.parameters()) / 1e9, 3) == billions
    config = _read(family, "vae/config.json")
    vae = latent_space(config).skeleton(config)
    assert sum(one.numel() for one in vae.parameters()) == parameters
    assert len(vae.state_dict()) == tensors


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_transformer_vae_and_preview_fit_one_another(family: str) -> None:
    """A picture of the family's size goes from texts to latents to pixels, on the meta device; what a call
    takes can be counted so, and grows by little more than its picture."""
    model, _, _ = FAMILIES[family]
    network = model.skeleton(_read(family, "transformer/config.json"))
    config, drawing = _read(family, "vae/config.json"), _read(family, "drawing.json")
    channels, down = latent_shape(config)
    assert len(_read(family, "preview.json")["factors"]) == channels
    assert drawing["multiple"] % down == 0
    assert drawing["native"] % drawing["multiple"] == 0
    side = drawing["native"] // down
    peaks = []
    for one in (side // 4 * 2, side):
        inputs = model.empty_inputs(network, one, one, drawing["tokens"])
        with counted() as count:
            answer = model.velocity(network, inputs)
        assert answer.shape == (1, channels, one, one)
        peaks.append(count.peak)
    assert 1 < peaks[1] / peaks[0] < 6
    scheduler, patches = _read(family, "scheduler/scheduler_config.json"), (drawing["native"] // 16) ** 2
    shares = sigmas(drawing["steps"], patches, scheduler, family)
    assert len(shares) == drawing["steps"] + 1
    assert shares[0] == 1.0
    assert shares[-1] == 0.0
    assert torch.tensor(shares).diff().max() < 0
