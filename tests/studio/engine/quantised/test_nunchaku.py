"""nunchaku's files: what deepcompressor packed is read as it was meant, and networks draw as the dense ones
that they mean, in as few bytes as the file has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FluxTransformer2DModel, QwenImageTransformer2DModel, ZImageTransformer2DModel
from safetensors.torch import load_file, save_file
from torch import nn

from easel.models import Header, Incomplete, Piece, TensorInfo, read_header
from easel.studio.engine.checkpoints.checkpoint_parts import CheckpointPart
from easel.studio.engine.checkpoints.skeleton import nbytes
from easel.studio.engine.transformers.flux import FluxModel
from easel.studio.engine.transformers.model import TransformerInputs
from easel.studio.engine.transformers.qwen_image import QwenImageModel
from easel.studio.engine.transformers.z_image import ZImageModel
from tests.studio.engine.quantised import nunchaku_files
from tests.studio.engine.quantised.loaded_parts import loaded, numbers, packed
from tests.studio.engine.transformers.flow_walk import alive, difference

JUDGED = Path(__file__).parent / "nunchaku.safetensors"
"""Layers that deepcompressor (of 2025-03-27) packed, and what it was given: one of whole numbers whose input
is shifted, one of floats, and one that makes six vectors."""
Tensors = Mapping[str, torch.Tensor]


@pytest.fixture(scope="module")
def judged() -> Tensors:
    return load_file(JUDGED)


def given(judged: Tensors, name: str) -> dict[str, torch.Tensor]:
    start = f"given.{name}."
    return {key.removeprefix(start): one for key, one in judged.items() if key.startswith(start)}


def test_the_tests_own_packer_packs_as_deepcompressor(judged: Tensors) -> None:
    """Place by place, so that the networks below are files that nunchaku would draw with."""
    for name in ("whole", "floats"):
        was = given(judged, name)
        assert torch.equal(nunchaku_files.codes(was["codes"].int() % 16), judged[f"{name}.qweight"])
        assert torch.equal(nunchaku_files.vector(was["smooth"]), judged[f"{name}.smooth"])
        assert torch.equal(nunchaku_files.low_rank(was["up"], down=False), judged[f"{name}.lora_up"])
        down = (was["down"].double() / was["smooth"].double()).to(torch.bfloat16)
        assert torch.equal(nunchaku_files.low_rank(down, down=True), judged[f"{name}.lora_down"])
    assert torch.equal(nunchaku_files.factors(given(judged, "whole")["scales"]), judged["whole.wscales"])
    was = given(judged, "floats")
    small = nunchaku_files.small_factors(was["scales"].float())
    assert torch.equal(small.view(torch.uint8), judged["floats.wscales"].view(torch.uint8))
    assert torch.equal(nunchaku_files.vector(was["channels"]), judged["floats.wcscales"])
    was = given(judged, "plain")
    turned = was["codes"].reshape(6, 16, -1).transpose(0, 1).reshape(96, -1)
    assert torch.equal(nunchaku_files.plain_codes(turned.int()), judged["plain.qweight"])


BASES = {
    "whole": "transformer_blocks.0.mlp_fc2", "floats": "transformer_blocks.0.mlp_fc1",
    "plain": "transformer_blocks.0.norm1.linear",
}  # fmt: skip
MODULES = {"whole": "ff.net.2", "floats": "ff.net.0.proj", "plain": "norm1.linear"}


def layer(judged: Tensors, name: str, tmp_path: Path, **changes: torch.Tensor | None) -> CheckpointPart:
    """A network of one layer, where a file for FLUX.1 has it."""
    file = {key.removeprefix(name): one for key, one in judged.items() if key.startswith(name + ".")}
    file |= {f".{key}": one for key, one in changes.items() if one is not None}
    path = tmp_path / "svdq.safetensors"
    gone = {f".{key}" for key, one in changes.items() if one is None}
    save_file({BASES[name] + key: one for key, one in file.items() if key not in gone}, path)
    rows, columns = given(judged, name)["codes"].shape
    with torch.device("meta"):
        module: nn.Module = nn.Linear(columns, rows)
    for one in reversed(MODULES[name].split(".")):
        module = nn.ModuleDict({one: module})
    whole = nn.ModuleDict({"transformer_blocks": nn.ModuleDict({"0": module})})
    piece = (Piece(path, header := read_header(path)), list(header.tensors))
    return CheckpointPart("transformer", whole, path.name, (piece,), lambda tensors, _: dict(tensors))


def judgement(judged: Tensors, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The layer that deepcompressor was asked to pack: it divides what comes in by `smooth`, and adds the
    shift to it before."""
    was = {key: one.float() for key, one in given(judged, name).items()}
    if name == "plain":
        return (was["codes"] - 7) * was["scales"].repeat_interleave(64, 1), was["bias"]
    if name == "floats":
        alone = nunchaku_files.E2M1[was["codes"].int()] * was["scales"].repeat_interleave(16, 1)
        alone = alone * was["channels"][:, None]
    else:
        alone = was["codes"] * was["scales"].repeat_interleave(64, 1)
    weight = (alone + was["up"] @ was["down"]) / was["smooth"]
    return weight, was["bias"] + (0.171875 * weight.sum(dim=1) if name == "whole" else 0)


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("name", BASES)
def test_means_what_deepcompressor_packed(judged: Tensors, name: str, small: bool, tmp_path: Path) -> None:
    """To the digits of the halves that it keeps the branch and the bias in."""
    part = layer(judged, name, tmp_path)
    part.small = small
    module = loaded(part, tmp_path / "svdq.safetensors", torch.float32)
    base = f"transformer_blocks.0.{MODULES[name]}"
    assert packed(module) == ({base} if small else set())
    weight, bias = judgement(judged, name)
    found = numbers(module)
    torch.testing.assert_close(found[f"{base}.weight"], weight, rtol=0, atol=0.01 * float(weight.std()))
    torch.testing.assert_close(found[f"{base}.bias"], bias, rtol=0, atol=0.02)


FLUX = FluxTransformer2DModel(
    in_channels=16, num_layers=1, num_single_layers=2, attention_head_dim=64, num_attention_heads=2,
    joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(16, 24, 24), guidance_embeds=True,
)  # fmt: skip
QWEN = QwenImageTransformer2DModel(
    num_layers=1, attention_head_dim=64, num_attention_heads=2, joint_attention_dim=32,
    axes_dims_rope=(16, 24, 24),
)  # fmt: skip
Z_IMAGE = ZImageTransformer2DModel(
    dim=384, n_layers=1, n_refiner_layers=1, n_heads=3, n_kv_heads=3, cap_feat_dim=32,
    axes_dims=[32, 48, 48], axes_lens=[256, 64, 64],
)  # fmt: skip
FILES: Mapping[str, tuple[Any, Any, Callable[[Any], nunchaku_files.File]]] = {
    "FLUX.1": (FluxModel(), FLUX, nunchaku_files.flux),
    "FLUX.1 in floats": (FluxModel(), FLUX, lambda network: nunchaku_files.flux(network, floats=True)),
    "Qwen-Image": (QwenImageModel(), QWEN, nunchaku_files.qwen_image),
    "Qwen-Image in floats": (
        QwenImageModel(), QWEN, lambda network: nunchaku_files.qwen_image(network, floats=True),
    ),
    "Z-Image": (ZImageModel(), Z_IMAGE, nunchaku_files.z_image),
    "Z-Image with its refiners": (
        ZImageModel(), Z_IMAGE, lambda network: nunchaku_files.z_image(network, floats=True, refiners=True),
    ),
}  # fmt: skip


def part_of(model: Any, network: Any, file: Tensors, path: Path, *, small: bool = True) -> CheckpointPart:
    save_file({name: one.contiguous() for name, one in file.items()}, path)
    header = read_header(path)
    piece = (Piece(path, header), list(header.tensors))
    bones = model.skeleton(network.config)
    return CheckpointPart("transformer", bones, path.name, (piece,), model.convert, small=small)


def asked(name: str) -> TransformerInputs:
    noise = torch.Generator().manual_seed(3)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=noise)

    flux = name.startswith("FLUX")
    return TransformerInputs(
        latents=random(2, 4 if flux else 16, 8, 12), shares=torch.tensor([0.9, 0.4]), tokens=random(2, 7, 32),
        mask=None if flux else torch.ones(2, 7, dtype=torch.bool), pooled=random(2, 32) if flux else None,
        guidance=torch.tensor([2.0, 4.0]) if flux else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[pytest.mark.slow] if "floats" in one else []) for one in FILES]
)
@torch.inference_mode()
def test_draws_as_the_dense_network(name: str, tmp_path: Path) -> None:
    """diffusers' network with the numbers that the file means, each packed layer's made on its own."""
    model, network, write = FILES[name]
    with torch.inference_mode(False):
        file = write(alive(network))
        part = part_of(model, network, file.finished(), tmp_path / "svdq.safetensors")
        ours = loaded(part, tmp_path / "svdq.safetensors", torch.float32)
        assert not part.left_out
        dense = model.skeleton(network.config).to_empty(device="cpu")
        dense.load_state_dict(file.meant)
    found = numbers(ours)
    for key, one in file.meant.items():
        torch.testing.assert_close(found[key], one.float(), rtol=1e-5, atol=1e-5, msg=key)
    assert len(packed(ours)) > 5
    answer = model.velocity(ours, asked(name))
    assert difference(answer, model.velocity(dense, asked(name))) < 1e-4
    assert float(answer.std()) > 0.05
    assert difference(answer, model.velocity(alive(network), asked(name))) > 0.05


BAD: Mapping[str, tuple[str, dict[str, torch.Tensor | None]]] = {
    "no smooth factors": ("whole", {"smooth": None}),
    "too few smooth factors": ("whole", {"smooth": torch.ones(64).bfloat16()}),
    "half a branch": ("whole", {"lora_up": None}),
    "a branch of another rank": ("whole", {"lora_up": torch.ones(256, 32).bfloat16()}),
    "a rank of no whole tile": ("whole", {"lora_up": torch.ones(256, 8).bfloat16(),
                                          "lora_down": torch.ones(128, 8).bfloat16()}),
    "factors for 128": ("whole", {"wscales": torch.ones(1, 256).bfloat16()}),
    "factors in another half": ("whole", {"wscales": torch.ones(2, 256).half()}),
    "factors of rows beside whole numbers": ("whole", {"wcscales": torch.ones(256).bfloat16()}),
    "a bias of other rows": ("whole", {"bias": torch.ones(128).bfloat16()}),
    "half a tile of rows": ("whole", {"qweight": torch.ones(64, 64).char()}),
    "codes of 32 bits": ("whole", {"qweight": torch.ones(256, 64).int()}),
    "factors of floats for 8": ("floats", {"wscales": torch.ones(16, 256).to(torch.float8_e4m3fn)}),
    "two numbers for all": ("floats", {"wtscale": torch.ones(2).bfloat16()}),
    "zeros of another shape": ("plain", {"wzeros": torch.ones(2, 96).bfloat16()}),
    "too few groups": ("plain", {"wscales": torch.ones(1, 96).bfloat16(),
                                 "wzeros": torch.ones(1, 96).bfloat16()}),
    "a bias of other vectors": ("plain", {"bias": torch.ones(48).bfloat16()}),
}  # fmt: skip


@pytest.mark.parametrize(("name", "changes"), BAD.values(), ids=BAD)
def test_layers_that_do_not_fit(
    judged: Tensors, name: str, changes: dict[str, torch.Tensor | None], tmp_path: Path
) -> None:
    """What lies beside a layer's codes and is not as nunchaku has it is refused, with the layer's name."""
    with pytest.raises(Incomplete, match=rf"{BASES[name]}\.qweight are not of the shapes and types"):
        layer(judged, name, tmp_path, **changes).check()


@pytest.mark.parametrize(
    ("name", "role"),
    [("whole", "smooth"), ("whole", "lora_down"), ("floats", "wscales"), ("plain", "wzeros"),
     ("floats", "wcscales"), ("plain", "bias")],
)  # fmt: skip
def test_factors_that_are_no_numbers(judged: Tensors, name: str, role: str, tmp_path: Path) -> None:
    """They would be multiplied with what is."""
    was = judged[f"{name}.{role}"]
    part = layer(judged, name, tmp_path, **{role: torch.full(was.shape, torch.nan).to(was.dtype)})
    with pytest.raises(Incomplete, match=rf"{role} holds numbers that are none"):
        loaded(part, tmp_path / "svdq.safetensors", torch.float32)


def test_nothing_is_divided_by_nothing(judged: Tensors, tmp_path: Path) -> None:
    """A smooth factor of zero."""
    part = layer(judged, "whole", tmp_path, smooth=torch.zeros(128).bfloat16())
    with pytest.raises(Incomplete, match="smooth holds numbers that are none"):
        loaded(part, tmp_path / "svdq.safetensors", torch.float32)


@pytest.mark.parametrize(
    "base",
    ["down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_qkv", "transformer_blocks.0.ff.net.2",
     "single_transformer_blocks.0.mlp_fc9", "transformer_blocks.0.norm1.linear", "mlp_fc2"],
)  # fmt: skip
def test_layers_that_are_not_known(
    judged: Tensors, base: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of other networks, or where a layer of 16 bits is expected: what they mean there nobody says."""
    monkeypatch.setitem(BASES, "whole", base)
    with pytest.raises(Incomplete, match=r"SVDQuant, for nunchaku, in layers that are not known here"):
        layer(judged, "whole", tmp_path).check()


def test_a_layer_that_is_there_twice(judged: Tensors, tmp_path: Path) -> None:
    """Packed, and in plain numbers: nobody can say which of them counts."""
    part = layer(judged, "whole", tmp_path)
    twice = load_file(tmp_path / "svdq.safetensors")
    twice["transformer_blocks.0.ff.net.2.weight"] = torch.ones(256, 128)
    save_file(twice, tmp_path / "svdq.safetensors")
    header = read_header(tmp_path / "svdq.safetensors")
    part.pieces = ((Piece(tmp_path / "svdq.safetensors", header), list(header.tensors)),)
    with pytest.raises(Incomplete, match=r"ff\.net\.2\.weight of its transformer is there twice"):
        part.check()


_NAMES_OF_TYPES = {
    torch.int8: "I8", torch.int32: "I32", torch.bfloat16: "BF16", torch.float8_e4m3fn: "F8_E4M3",
}  # fmt: skip
FULL: Mapping[str, tuple[Any, Callable[[], Any], Callable[..., nunchaku_files.File]]] = {
    "FLUX.1": (FluxModel(), lambda: FluxTransformer2DModel(guidance_embeds=True), nunchaku_files.flux),
    "Qwen-Image": (QwenImageModel(), QwenImageTransformer2DModel, nunchaku_files.qwen_image),
    "Z-Image": (ZImageModel(), ZImageTransformer2DModel, nunchaku_files.z_image),
}
_OTHERS = (
    ("FLUX.1", True, 7.04), ("Qwen-Image", False, 11.52), ("Qwen-Image", True, 11.95),
    ("Z-Image", False, 4.63), ("Z-Image", True, 4.80),
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "floats", "gigabytes"),
    [("FLUX.1", False, 6.77), *(pytest.param(*one, marks=pytest.mark.slow) for one in _OTHERS)],
)
def test_is_as_small_as_its_file(name: str, floats: bool, gigabytes: float) -> None:
    """At full size, of rank 32, by no more than a header: all is understood, and what is planned is the
    file's size and what q, k and v had in common, once for each."""
    model, make, write = FULL[name]
    with torch.device("meta"):
        network = make().to(torch.bfloat16)
    outline = nunchaku_files.Outline(network, 32, floats=floats, early=name == "FLUX.1")
    every = {}
    for key, one in write(network, into=outline).finished().items():
        every[key] = TensorInfo(_NAMES_OF_TYPES[one.dtype], tuple(one.shape), 0, one.nbytes)
    header = Header(every, {}, 0, 0)
    bones = model.skeleton(network.config)
    piece = (Piece(Path("svdq.safetensors"), header), list(every))
    part = CheckpointPart("transformer", bones, "svdq.safetensors", (piece,), model.convert, small=True)
    part.check()
    assert not part.left_out
    if (name, floats) == ("Qwen-Image", False):
        # as Forge counts in svdq-int4_r128-qwen-image-lightningv1.1-8steps (sd-webui-forge-classic#235)
        assert len(every) == 4093
    file = sum(one.nbytes for one in every.values())
    assert 0.99 * file < nbytes(bones, torch.bfloat16) < 1.04 * file
    assert round(file / 1e9, 2) == gigabytes
