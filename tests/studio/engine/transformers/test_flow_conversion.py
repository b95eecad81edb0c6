"""Published single files of flows' transformers against the modules: names, shapes and numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from diffusers.loaders import single_file_utils

from easel.studio.engine.checkpoints.skeleton import fill
from easel.studio.engine.tensors.conversion import Traced
from easel.studio.families import HERE
from tests.studio.engine.transformers.flow_networks import TINY, inputs, published_config, published_skeleton
from tests.studio.engine.transformers.published_files import published

# Billions of parameters, as the publishers' cards have them (SD3.5 medium's 2.5 counts its table of places).
BILLIONS = {
    "sd3": 2.0, "sd35-medium": 2.2, "sd35-large": 8.1, "flux-dev": 11.9, "flux-schnell": 11.9,
    "flux-fill": 11.9, "flux-kontext": 11.9, "chroma": 8.9,
}  # fmt: skip

Converter = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
DIFFUSERS: dict[str, Converter] = {
    "sd": single_file_utils.convert_sd3_transformer_checkpoint_to_diffusers,
    "fl": single_file_utils.convert_flux_transformer_checkpoint_to_diffusers,
    "ch": single_file_utils.convert_chroma_transformer_checkpoint_to_diffusers,
}


@pytest.mark.parametrize("name", BILLIONS)
def test_full_size(name: str) -> None:
    """The published configurations make networks of the published size."""
    network = published_skeleton(name)
    assert round(sum(one.numel() for one in network.parameters()) / 1e9, 1) == BILLIONS[name]


@pytest.mark.parametrize("name", BILLIONS)
def test_published_names_at_full_size(name: str) -> None:
    """Every tensor of the module is found in a single file as it was published, in its shape, and nothing of
    the file is left over; diffusers' converter, where it was, finds the same in the same tensors."""
    network = published_skeleton(name)
    wanted = {key: tuple(one.shape) for key, one in network.state_dict().items()}
    file = {key: Traced.of(key, tuple(one.shape)) for key, one in published(name, network).items()}
    found = TINY[name].model.convert(dict(file), network)
    assert {key: tuple(one.shape) for key, one in found.items()} == wanted
    there = DIFFUSERS[name[:2]](dict(file))
    assert {key: one.names for key, one in found.items()} == {key: one.names for key, one in there.items()}
    assert frozenset[str]().union(*(one.names for one in found.values())) == set(file)


@pytest.mark.parametrize("name", BILLIONS)
def test_numbers_as_diffusers_converts_them(name: str) -> None:
    """Number for number, at full height: of matrices, the first column stands for all."""
    network = published_skeleton(name)
    generator = torch.Generator().manual_seed(0)
    file = {
        key: torch.rand((one.shape[0], *[1] * (one.dim() - 1)), generator=generator)
        for key, one in published(name, network).items()
    }
    found = TINY[name].model.convert(dict(file), network)
    there = DIFFUSERS[name[:2]](dict(file))
    assert found.keys() == there.keys()
    assert all(torch.equal(found[key], there[key]) for key in there)


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("name", TINY)
def test_the_same_answers_from_a_published_file(name: str, prefix: str) -> None:
    """A network that is filled from a single file, or from diffusers' own layout, answers as the one that
    the file was made of."""
    model, network = TINY[name].model, TINY[name].network()
    file = {prefix + key: one for key, one in published(name, network).items()}
    own = network.state_dict()
    for tensors in (file, {prefix + key: one for key, one in own.items()}):
        other = model.skeleton(TINY[name].config)
        fill(other, model.convert(tensors, other), torch.device("cpu"))
        assert torch.equal(model.velocity(other, inputs(name)), model.velocity(network, inputs(name)))


def test_pieces_of_a_tensor_are_no_copies() -> None:
    """A file that is mapped into memory stays there: a piece of a fused matrix is a view of it."""
    network = TINY["flux-dev"].network()
    file = published("flux-dev", network)
    found = TINY["flux-dev"].model.convert(file, network)
    whole = file["double_blocks.0.img_attn.qkv.weight"].untyped_storage().data_ptr()
    assert found["transformer_blocks.0.attn.to_v.weight"].untyped_storage().data_ptr() == whole


def test_a_file_of_another_width_is_refused() -> None:
    """Where a fused matrix has other rows than its pieces, that is an error and no guess."""
    network = TINY["flux-dev"].network()
    file = published("flux-dev", network)
    file["single_blocks.1.linear1.weight"] = file["single_blocks.1.linear1.weight"][:-1]
    with pytest.raises(RuntimeError, match="split"):
        TINY["flux-dev"].model.convert(file, network)


@pytest.mark.parametrize("name", BILLIONS)
def test_a_familys_folder(name: str) -> None:
    """A folder holds what its pipeline consists of, a preview by latent channel, and how it is drawn."""
    index = published_config(name, "model_index.json")
    for part, (_, cls) in ((one, value) for one, value in index.items() if isinstance(value, list)):
        if part.startswith("tokenizer"):
            continue
        file = "scheduler/scheduler_config.json" if part == "scheduler" else f"{part}/config.json"
        config = published_config(name, file)
        assert config.get("_class_name", (config.get("architectures") or [""])[0]) == cls
    preview = published_config(name, "preview.json")
    assert len(preview["factors"]) == published_config(name, "vae/config.json")["latent_channels"]
    assert {len(row) for row in (*preview["factors"], preview["bias"])} == {3}
    drawing = published_config(name, "drawing.json")
    guided = published_config(name).get("guidance_embeds", False)
    assert (drawing["distilled_guidance"] is not None) == guided
    assert (HERE / name).is_dir()
