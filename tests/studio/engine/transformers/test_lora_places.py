"""LoRA files for flows' transformers, in the spellings of their trainers, against diffusers' conversion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from diffusers.loaders.lora_conversion_utils import _convert_kohya_flux_lora_to_diffusers

from easel.studio.engine.transformers.lora_names import LoraPlaces, NotCut, cut, layer_path
from tests.studio.engine.transformers.flow_networks import TINY, published_skeleton
from tests.studio.engine.transformers.published_files import published

RANK = 2
FUSED = "double_blocks.1.img_attn.qkv"
KOHYA, COMFY, BARE = "lora_unet_{}", "diffusion_model.{}", "{}"
PUBLISHED_SPELLINGS = (KOHYA, COMFY, BARE, "transformer.{}", "base_model.model.{}", "lora_transformer_{}")


def _layers(name: str, network: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The published layers that a trainer finds: those with a matrix."""
    for key, tensor in published(name, network).items():
        if key.endswith(".weight") and tensor.dim() == 2:
            yield key.removesuffix(".weight"), tensor


def _spelled(layer: str, spelling: str) -> str:
    return spelling.format(layer.replace(".", "_") if spelling.endswith("_{}") else layer)


@pytest.mark.parametrize("name", TINY)
def test_every_layer_has_its_modules(name: str) -> None:
    """Each published layer is found in every spelling, and changes the rows of the modules that its own
    weight becomes: a LoRA over all of the file is the converted file's."""
    model, network = TINY[name].model, TINY[name].network()
    places = model.lora_places(network)
    file = published(name, network)
    weights = model.convert(file, network)
    seen = set()
    for layer, matrix in _layers(name, network):
        for spelling in PUBLISHED_SPELLINGS:
            found = places[layer_path(_spelled(layer, spelling))]
            for place in found:
                assert torch.equal(cut({"up": matrix}, place)["up"], weights[f"{place.module}.weight"])
                seen.add(place.module)
    assert seen == {one for one, module in network.named_modules() if isinstance(module, torch.nn.Linear)}


@pytest.mark.parametrize("name", TINY)
def test_names_of_diffusers(name: str) -> None:
    """PEFT's, OneTrainer's and kohya's spellings of diffusers' own names are the modules themselves."""
    network = TINY[name].network()
    places = TINY[name].model.lora_places(network)
    spellings = (
        "transformer.{}",
        "base_model.model.{}",
        "{}",
        "lora_transformer_{}",
        "lora_unet_{}",
        "lycoris_{}",
    )
    for module, one in network.named_modules():
        if isinstance(one, torch.nn.Linear):
            for spelling in spellings:
                (place,) = places[layer_path(_spelled(module, spelling))]
                assert (place.module, place.rows) == (module, ())
    assert places[layer_path("transformer.transformer_blocks.0.attn.to_out")][0].module.endswith("to_out.0")
    assert layer_path("lora_te1_text_model_encoder_layers_0_mlp_fc1") not in places


def test_as_diffusers_converts_kohyas() -> None:
    """At full size, over all layers: what is added to each module is what diffusers' conversion adds."""
    network = published_skeleton("flux-dev")
    places = TINY["flux-dev"].model.lora_places(network)
    generator = torch.Generator().manual_seed(4)
    file: dict[str, torch.Tensor] = {}
    ours: dict[str, torch.Tensor] = {}
    for layer, matrix in _layers("flux-dev", network):
        base = _spelled(layer, KOHYA)
        down = torch.randn((RANK, 3), generator=generator)
        up = torch.randn((matrix.shape[0], RANK), generator=generator)
        file |= {f"{base}.lora_down.weight": down, f"{base}.lora_up.weight": up}
        for place in places[layer_path(base)]:
            own = cut({"down": down, "up": up}, place)
            ours[place.module] = own["up"] @ own["down"]
    there = _convert_kohya_flux_lora_to_diffusers(dict(file))
    theirs = {
        name.removesuffix(".lora_B.weight").removeprefix("transformer."): up
        @ there[name.replace("lora_B", "lora_A")]
        for name, up in there.items()
        if name.endswith("lora_B.weight")
    }
    assert ours.keys() == theirs.keys()
    for module, change in theirs.items():
        torch.testing.assert_close(ours[module], change, rtol=0, atol=1e-5)


@pytest.fixture
def fused() -> tuple[LoraPlaces, int]:
    """The places of a small Flux, and how wide it is."""
    network = TINY["flux-dev"].network()
    return TINY["flux-dev"].model.lora_places(network), network.inner_dim


def test_what_a_fused_layer_shares(fused: tuple[LoraPlaces, int]) -> None:
    """Its pieces share what is by input, and each has its own of what is by output, tensors without numbers
    included."""
    places, wide = fused
    whole = {
        "down": torch.empty((4, wide), device="meta"), "up": torch.empty((3 * wide, 4), device="meta"),
        "alpha": torch.empty((), device="meta"), "dora_scale": torch.empty((3 * wide, 1), device="meta"),
        "diff_b": torch.empty(3 * wide, device="meta"),
    }  # fmt: skip
    for place in places[layer_path(FUSED)]:
        own = cut(whole, place)
        assert own["down"] is whole["down"]
        assert own["alpha"] is whole["alpha"]
        assert {role: tuple(own[role].shape) for role in ("up", "dora_scale", "diff_b")} == {
            "up": (wide, 4), "dora_scale": (wide, 1), "diff_b": (wide,),
        }  # fmt: skip


@pytest.mark.parametrize(
    "tensors",
    [
        {"dora_scale": (1, 32)},
        {"hada_w1_a": (4, 96), "hada_t1": (4, 4)},
        {"up": (100, 4)},
    ],
)
def test_what_cannot_be_divided_is_refused(
    fused: tuple[LoraPlaces, int], tensors: dict[str, tuple[int, ...]]
) -> None:
    """A magnitude by columns, a core, another height: in words, not wrongly."""
    places, _ = fused
    with pytest.raises(NotCut, match=f"its {next(iter(tensors))} "):
        cut({role: torch.zeros(shape) for role, shape in tensors.items()}, places[layer_path(FUSED)][0])
