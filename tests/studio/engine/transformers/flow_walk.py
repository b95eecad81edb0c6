"""What the tests of single flow families share: small networks with life in them, and a walk by Euler."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch

from easel.studio.engine.checkpoints.skeleton import fill
from easel.studio.engine.tensors.conversion import Traced
from easel.studio.engine.transformers.lora_names import cut, layer_path
from easel.studio.engine.transformers.model import TransformerInputs


@torch.no_grad()
def alive(module: Any, seed: int = 1) -> Any:
    """Weights under which every input shows, yet so tame that a rounded share of noise does not."""
    torch.manual_seed(seed)
    for one in module.parameters():
        spread = 0.1 if one.dim() < 2 else 0.5 * one[0].numel() ** -0.5
        one.copy_(torch.randn_like(one) * spread + (1.0 if one.dim() == 1 and one.mean() > 0.5 else 0.0))
    return module.eval()


@torch.inference_mode()
def euler(
    latents: torch.Tensor, shares: Sequence[float], velocity: Callable[[torch.Tensor, float], torch.Tensor]
) -> torch.Tensor:
    """From share to share along the velocity."""
    for now, then in pairwise(shares):
        latents = latents + (then - now) * velocity(latents, now)
    return latents


def traced(file: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A file's tensors, as a header knows them."""
    return {name: Traced.of(name, tuple(tensor.shape)) for name, tensor in file.items()}


def assert_told_by_header(model: Any, network: Any, file: Mapping[str, torch.Tensor]) -> None:
    """Shapes alone name every tensor of the module, in its shape, and use all of the file's."""
    found = model.convert(traced(file), network)
    wanted = network.state_dict()
    assert {name: found[name].shape for name in wanted} == {name: one.shape for name, one in wanted.items()}
    assert {name for one in wanted for name in found[one].names} == set(file)


def assert_fills(model: Any, network: Any, file: Mapping[str, torch.Tensor], prefix: str = "") -> Any:
    """Under this prefix the file's tensors fill a skeleton with the network's numbers. Returns it."""
    stored = {prefix + name: tensor for name, tensor in file.items()}
    bones = model.skeleton(network.config)
    assert all(one.is_meta for one in bones.parameters())
    assert_told_by_header(model, bones, stored)
    fill(bones, model.convert(stored, bones), torch.device("cpu"))
    for name, tensor in network.state_dict().items():
        assert torch.equal(bones.state_dict()[name], tensor)
    return bones


@torch.inference_mode()
def assert_counted(model: Any, network: Any) -> None:
    """A call on the meta device, that needs no numbers, answers in the shape of its latents."""
    bones = model.skeleton(network.config)
    inputs = model.empty_inputs(bones, 8, 12, 40)
    assert model.velocity(bones, inputs).shape == inputs.latents.shape


def assert_lora_finds_every_layer(model: Any, network: Any, file: Mapping[str, torch.Tensor]) -> None:
    """Each layer of a file is found in every trainer's spelling, and changes just those rows of the modules
    that its own weight becomes; together they are all of the network's layers."""
    places, weights = model.lora_places(network), model.convert(file, network)
    seen = set()
    for key, matrix in file.items():
        if key.endswith(".weight") and matrix.dim() == 2:
            layer = key.removesuffix(".weight")
            for base in (layer, f"diffusion_model.{layer}", f"transformer.{layer}", f"lora_unet_{layer}"):
                path = layer_path(base.replace(".", "_") if base.startswith("lora_") else base)
                for place in places[path]:
                    assert torch.equal(cut({"up": matrix}, place)["up"], weights[f"{place.module}.weight"])
                    seen.add(place.module)
    assert seen == {name for name, module in network.named_modules() if isinstance(module, torch.nn.Linear)}


@torch.inference_mode()
def assert_draws_in_half(model: Any, network: Any, inputs: TransformerInputs) -> None:
    """In bfloat16 the answer is of that type and about the same."""
    exact = model.velocity(network, inputs)
    half = {name: getattr(inputs, name).to(torch.bfloat16) for name in ("latents", "tokens")}
    found = model.velocity(copy.deepcopy(network).to(torch.bfloat16), replace(inputs, **half))
    assert found.dtype == torch.bfloat16
    assert float((found.float() - exact).norm() / exact.norm()) < 0.05


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference of two tensors."""
    return float((one - other).detach().abs().max())
