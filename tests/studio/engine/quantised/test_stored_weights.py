"""From files with small weights to modules: the numbers that they mean, in as few bytes as the file has,
and a refusal in words of what is not understood."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from easel.models import Architecture, FileError, Header, Incomplete, Piece, TensorInfo, read_header
from easel.studio.engine.checkpoints.checkpoint_parts import CheckpointPart, parts_of_file
from easel.studio.engine.checkpoints.skeleton import nbytes, skeleton
from easel.studio.engine.loading.checkpoint_cache import copied
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
from easel.studio.engine.memory.device_memory import DeviceMemory
from easel.studio.engine.quantised.packed_linear import PackedLinear
from easel.studio.engine.quantised.packed_weight import PackedWeight
from easel.studio.engine.tensors import weights as reading
from easel.studio.engine.tensors.weights import Weights
from tests.studio.engine.quantised import gguf_files
from tests.studio.engine.quantised.loaded_parts import CPU, loaded, numbers, packed
from tests.studio.engine.tensors.test_scales import scaled
from tests.studio.engine.tiny import Tiny, model_file, tiny

HALF = torch.float16


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """SDXL: its second text encoder's q, k and v are one tensor in the file."""
    return tiny(Architecture.SDXL, tmp_path_factory.mktemp("families"))


def modules(made: Tiny, path: Path, header: Header, dtype: torch.dtype, *, small: bool) -> dict[str, Any]:
    """The parts of a checkpoint, loaded."""
    found = {}
    for number, part in enumerate(
        parts_of_file(model_file(path), header, None, made.family, skeleton(made.family))
    ):
        part.small = small
        found[f"{part.words} {number}"] = loaded(part, path, dtype)
    return found


def same(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    for name, module in theirs.items():
        found, wanted = numbers(ours[name]), numbers(module)
        assert found.keys() == wanted.keys()
        for key, one in wanted.items():
            assert torch.equal(found[key], one), f"{name}: {key}"


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, HALF, torch.bfloat16], ids=str)
@pytest.mark.parametrize("ending", ["", "scale_weight", "weight_scale"])
def test_eight_bits(made: Tiny, tmp_path: Path, ending: str, dtype: torch.dtype) -> None:
    """Every linear layer in eight bits stays so, those that were one tensor in the file with them, and means
    bit for bit what it is expanded to when it is loaded; what is a scale for each row goes with its row."""
    tensors = made.tensors()
    if ending:
        tensors, _ = scaled(tensors, ending, rows=ending == "weight_scale")
        for name in [
            name for name in tensors if ending == "weight_scale" and name.endswith("in_proj_weight")
        ]:
            rows = tensors[name].abs().amax(dim=1, keepdim=True) / 448
            tensors |= {name: (tensors[name] / rows).to(torch.float8_e4m3fn), name + "_scale": rows}
    else:
        tensors = {
            name: one.to(torch.float8_e5m2) if one.dim() == 2 else one for name, one in tensors.items()
        }
    save_file(tensors, tmp_path / "model.safetensors")
    header = read_header(tmp_path / "model.safetensors")
    ours = modules(made, tmp_path / "model.safetensors", header, dtype, small=True)
    theirs = modules(made, tmp_path / "model.safetensors", header, dtype, small=False)
    same(ours, theirs)
    assert not any(packed(module) for module in theirs.values())
    attentions = packed(ours["UNet 3"])
    assert {name.rpartition(".")[2] for name in attentions} >= {"to_q", "to_k", "to_v", "0"}
    fused = packed(ours["text encoder 1"])
    if ending != "scale_weight":
        assert all(any(name.endswith(one) for name in fused) for one in ("q_proj", "k_proj", "v_proj"))
        linear = ours["text encoder 1"].get_submodule(min(name for name in fused if name.endswith("q_proj")))
        assert linear.codes.shape == (48, 48)


def test_drawn_with_eight_bits(made: Tiny, tmp_path: Path) -> None:
    """A whole UNet answers bit for bit as the one whose weights were expanded when it was loaded."""
    file, _ = scaled(made.tensors(), "scale_weight", rows=False)
    save_file(file, tmp_path / "model.safetensors")
    header = read_header(tmp_path / "model.safetensors")
    noise = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 4, 8, 8, generator=noise)
    answers = []
    for small in (True, False):
        unet = modules(made, tmp_path / "model.safetensors", header, torch.float32, small=small)["UNet 3"]
        width = unet.config.cross_attention_dim
        text = torch.randn(2, 5, width, generator=torch.Generator().manual_seed(1))
        added = {"text_embeds": torch.ones(2, 48), "time_ids": torch.ones(2, 6)}
        with torch.inference_mode():
            answers.append(
                unet(latents, 7, encoder_hidden_states=text, added_cond_kwargs=added, return_dict=False)[0]
            )
    assert bool(torch.isfinite(answers[0]).all())
    assert torch.equal(*answers)


@pytest.mark.thinned(3)
@pytest.mark.parametrize("kind", gguf_files.QUANTISED)
def test_gguf(made: Tiny, tmp_path: Path, kind: str) -> None:
    """A GGUF file is what the gguf package says it is: matrices stay blocks, norms and biases in blocks are
    expanded, and what is in plain numbers is read as ever."""
    tensors: dict[str, Any] = {}
    meant: dict[str, torch.Tensor] = {}
    for name, one in made.tensors().items():
        meant[name] = tensors[name] = one.contiguous()
        if one.dim() in (1, 2) and one.shape[-1] % 32 == 0 and one.is_floating_point():
            tensors[name] = kind, gguf_files.quantised(kind, one)
            meant[name] = gguf_files.expanded(kind, tensors[name][1])
    header = gguf_files.write(tmp_path / "model.gguf", tensors)
    assert sum(one.dtype == kind for one in header.tensors.values()) > 300
    save_file(meant, tmp_path / "model.safetensors")
    plain = modules(
        made, tmp_path / "model.safetensors", read_header(tmp_path / "model.safetensors"), HALF, small=False
    )
    for small in (True, False):
        ours = modules(made, tmp_path / "model.gguf", header, HALF, small=small)
        same(ours, plain)
        assert bool(packed(ours["UNet 3"])) is small


def flux_shapes() -> dict[str, tuple[int, ...]]:
    """Every tensor of Flux.1 dev as it is published, by the names of its own code."""
    width, inner = 3072, 12288
    found: dict[str, tuple[int, ...]] = {}

    def linear(name: str, out: int, into: int) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = (out, into), (out,)

    for name, out, into in (
        ("img_in", width, 64), ("txt_in", width, 4096), ("final_layer.linear", 64, width),
        ("final_layer.adaLN_modulation.1", 2 * width, width), ("time_in.in_layer", width, 256),
        ("time_in.out_layer", width, width), ("vector_in.in_layer", width, 768),
        ("vector_in.out_layer", width, width), ("guidance_in.in_layer", width, 256),
        ("guidance_in.out_layer", width, width),
    ):  # fmt: skip
        linear(name, out, into)
    for number in range(19):
        for side in ("img", "txt"):
            base = f"double_blocks.{number}.{side}"
            linear(f"{base}_mod.lin", 6 * width, width)
            linear(f"{base}_attn.qkv", 3 * width, width)
            linear(f"{base}_attn.proj", width, width)
            linear(f"{base}_mlp.0", inner, width)
            linear(f"{base}_mlp.2", width, inner)
            for one in ("query", "key"):
                found[f"{base}_attn.norm.{one}_norm.scale"] = (128,)
    for number in range(38):
        base = f"single_blocks.{number}"
        linear(f"{base}.modulation.lin", 3 * width, width)
        linear(f"{base}.linear1", 3 * width + inner, width)
        linear(f"{base}.linear2", width, width + inner)
        for one in ("query", "key"):
            found[f"{base}.norm.{one}_norm.scale"] = (128,)
    return found


@pytest.mark.parametrize(
    ("kind", "at_most"), [("Q4_K", 6.9e9), ("Q8_0", 12.8e9), ("F8_E4M3", 12.0e9), ("BF16", 23.9e9)]
)
def test_flux_is_as_small_as_its_file(kind: str, at_most: float) -> None:
    """diffusers' own converter, which cuts Flux's fused tensors, leaves every layer packed: what is planned
    for twelve thousand million numbers is what people took the file for. No more than a header is there."""
    from diffusers.loaders.single_file_utils import (
        convert_flux_transformer_checkpoint_to_diffusers as convert,
    )
    from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

    with torch.device("meta"):
        module = FluxTransformer2DModel(guidance_embeds=True)
    every = {
        name: TensorInfo(kind if len(shape) == 2 else "BF16", shape, 0, 0)
        for name, shape in flux_shapes().items()
    }
    if (
        kind != "BF16"
    ):  # as every published GGUF file has it: rows of 64 numbers are no whole block of K types
        every["img_in.weight"] = TensorInfo("BF16", (3072, 64), 0, 0)
    header = Header(MappingProxyType(every), MappingProxyType({}), 0, 0)
    part = CheckpointPart(
        "transformer", module, "flux.gguf", ((Piece(Path("flux.gguf"), header), list(every)),),
        lambda tensors, _: convert(dict(tensors)), small=True,
    )  # fmt: skip
    part.check()
    linear = sum(type(one) is nn.Linear for one in module.modules())
    assert linear == (1 if kind != "BF16" else 504)
    assert len(packed(module)) == 504 - linear
    assert at_most * 0.97 < nbytes(module, torch.bfloat16) < at_most


def mixed(said: object, weight: torch.Tensor, tmp_path: Path) -> CheckpointPart:
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    path = tmp_path / "mixed.safetensors"
    beside = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    tensors = {"even.weight": weight, "even.comfy_quant": beside, "even.weight_scale": torch.tensor(0.5),
               "even.input_scale": torch.tensor(1.0), "odd.weight": torch.ones(3, 72)}  # fmt: skip
    save_file(tensors, path)
    with torch.device("meta"):
        module = nn.ModuleDict({"even": nn.Linear(128, 3, bias=False), "odd": nn.Linear(72, 3, bias=False)})
    header = read_header(path)
    piece = (Piece(path, header), list(header.tensors))
    return CheckpointPart("transformer", module, path.name, (piece,), lambda tensors, _: dict(tensors))


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize(
    ("said", "dtype"),
    [
        ("float8_e4m3fn", torch.float8_e4m3fn),
        ("float8_e5m2", torch.float8_e5m2),
        ("int8_tensorwise", torch.int8),
    ],
)
def test_mixed_precision(said: str, dtype: torch.dtype, small: bool, tmp_path: Path) -> None:
    """ComfyUI's files say layer by layer how it is packed: eight bits with a scale are read."""
    weight = (torch.randn(3, 128, generator=torch.Generator().manual_seed(0)) * 20).to(dtype)
    part = mixed({"format": said, "full_precision_matrix_mult": True}, weight, tmp_path)
    part.small = small
    module = loaded(part, tmp_path / "mixed.safetensors", torch.float32)
    assert packed(module) == ({"even"} if small else set())
    assert torch.equal(numbers(module)["even.weight"], weight.float() * 0.5)
    assert torch.equal(numbers(module)["odd.weight"], torch.ones(3, 72))


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"format": "mxfp8"}, r"mixed precision, mxfp8; even\.comfy_quant\), which is not understood; take"),
        (
            {"format": "int8_tensorwise", "convrot": True},
            r"int8_tensorwise of rotated rows; even\.comfy_quant",
        ),
        ({"format": "nvfp4"}, r"even\.weight is not in nvfp4"),
        ({"format": "float8_e5m2"}, r"even\.weight is not in float8_e5m2"),
        ({"form": 3}, r"even\.comfy_quant cannot be read"),
        ([3], r"even\.comfy_quant cannot be read"),
        (b"\xff\xfe{", r"even\.comfy_quant cannot be read"),
        (b"[" * 5000, r"even\.comfy_quant cannot be read"),
    ],
)
def test_mixed_precision_that_is_not_understood(said: object, says: str, tmp_path: Path) -> None:
    """Other formats are refused by their name, with what to take instead."""
    weight = torch.ones(3, 128).to(torch.float8_e4m3fn)
    with pytest.raises(Incomplete, match=says):
        mixed(said, weight, tmp_path).check()


def gguf_part(path: Path, header: Header) -> CheckpointPart:
    with torch.device("meta"):
        module = nn.ModuleDict({"even": nn.Linear(256, 3, bias=False)})
    piece = (Piece(path, header), list(header.tensors))
    return CheckpointPart("transformer", module, path.name, (piece,), lambda tensors, _: dict(tensors))


@pytest.mark.parametrize("kind", ["IQ2_XXS", "IQ3_S", "IQ1_M", "TQ1_0", "Q8_K", "Q8_1", "MXFP4"])
def test_types_that_are_not_offered(kind: str) -> None:
    """A type that diffusers cannot expand is refused by its name, with what to take instead."""
    header = Header({"even.weight": TensorInfo(kind, (3, 256), 0, 0)}, {}, 0, 0)
    with pytest.raises(Incomplete, match=rf"even.weight of its transformer is stored as {kind}.* Q8_0, Q6_K"):
        gguf_part(Path("odd.gguf"), header).check()


def test_a_scale_beside_blocks(tmp_path: Path) -> None:
    """Nobody knows what it would mean."""
    blocks = gguf_files.blocks("Q4_K", 3, 1, 0)
    header = gguf_files.write(
        tmp_path / "odd.gguf", {"even.weight": ("Q4_K", blocks), "even.weight_scale": torch.ones(1)}
    )
    with pytest.raises(Incomplete, match=r"even\.weight_scale"):
        gguf_part(tmp_path / "odd.gguf", header).check()


def test_blocks_that_are_none(tmp_path: Path) -> None:
    """Rows of half a block, and fewer bytes than the shape needs, are refused before anything is made of
    them, and a file that is cut short meanwhile."""
    blocks = gguf_files.blocks("Q4_K", 3, 1, 0)
    path = tmp_path / "model.gguf"
    header = gguf_files.write(path, {"even.weight": ("Q4_K", blocks)})
    info = header.tensors["even.weight"]
    for shape, end in (((3, 128), info.end), ((6, 256), info.end), ((3, 256), info.end - 1), ((), info.end)):
        wrong = Header({"even.weight": TensorInfo("Q4_K", shape, info.begin, end)}, {}, 0, header.file_bytes)
        with pytest.raises(Incomplete), Weights(path, wrong) as weights:
            weights.read(["even.weight"], device=CPU, dtype=HALF)
        with pytest.raises(Incomplete):
            loaded(gguf_part(path, wrong), path, HALF)
    with path.open("r+b") as file:
        file.truncate(info.end - 7)
    with pytest.raises(FileError, match="changed"):
        loaded(gguf_part(path, header), path, HALF)


@settings(max_examples=25, deadline=None)
@given(
    kinds=st.lists(st.sampled_from([*gguf_files.EXPANDED, "F16", "F8"]), min_size=1, max_size=6),
    rows=st.integers(1, 5),
    stretch=st.integers(7, 600).map(lambda numbers: numbers * 8),
    seed=st.integers(0, 1000),
)
def test_bytes_are_read_as_they_are(
    kinds: list[str], rows: int, stretch: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever lies beside, and wherever a stretch ends: blocks come as the file has them, row by row, and so
    does what is to be kept."""
    path = tmp_path_factory.mktemp("read") / "model.gguf"
    tensors: dict[str, Any] = {}
    noise = torch.Generator().manual_seed(seed)
    for number, kind in enumerate(kinds):
        if kind.startswith("F"):
            tensors[f"{number}"] = torch.randn(rows, 33, generator=noise).half()
        else:
            tensors[f"{number}"] = kind, gguf_files.blocks(kind, rows, 2, seed + number)
    header = gguf_files.write(path, tensors)
    kept = {str(number) for number, kind in enumerate(kinds) if kind == "F8"}
    with pytest.MonkeyPatch.context() as patch, Weights(path, header, threads=2) as weights:
        patch.setattr(reading, "STRETCH", stretch)
        found = weights.read(header.tensors, device=CPU, dtype=torch.float32, keep=kept)
    for name, one in tensors.items():
        if not isinstance(one, torch.Tensor):
            assert torch.equal(found[name], torch.from_numpy(one[1]))
        else:
            assert found[name].dtype == (HALF if name in kept else torch.float32)
            assert torch.equal(found[name].float(), one.float())


def test_what_is_kept_is_read_as_stored(tmp_path: Path) -> None:
    """Eight bits and whole numbers that are to be kept come as they are; others are converted as ever."""
    tensors = {
        "a": torch.randn(3, 5, generator=torch.Generator().manual_seed(0)).to(torch.float8_e4m3fn),
        "b": torch.arange(7, dtype=torch.uint8),
        "c": torch.ones(3).bfloat16(),
    }
    tensors["d"] = tensors["a"].clone()
    save_file(tensors, tmp_path / "some.safetensors")
    with Weights(tmp_path / "some.safetensors", read_header(tmp_path / "some.safetensors")) as weights:
        found = weights.read("abcd", device=CPU, dtype=HALF, keep="ab")
        with pytest.raises(Incomplete, match="stored as U8"):
            weights.read("b", device=CPU, dtype=HALF)
    assert found["a"].dtype == torch.float8_e4m3fn
    assert torch.equal(found["a"].view(torch.uint8), tensors["a"].view(torch.uint8))
    assert torch.equal(found["b"], tensors["b"])
    assert found["c"].dtype == found["d"].dtype == HALF
    assert torch.equal(found["d"], tensors["a"].half())


def test_only_matrices_stay_packed(made: Tiny, tmp_path: Path) -> None:
    """Embeddings in eight bits are expanded: they are looked up, not multiplied with."""
    tensors = {
        name: one.to(torch.float8_e4m3fn) if one.is_floating_point() else one
        for name, one in made.tensors().items()
    }
    save_file(tensors, tmp_path / "model.safetensors")
    header = read_header(tmp_path / "model.safetensors")
    ours = modules(made, tmp_path / "model.safetensors", header, HALF, small=True)
    for module in ours.values():
        for layer in module.modules():
            own = [one.dtype for one in layer.parameters(recurse=False)]
            assert isinstance(layer, PackedLinear) or all(dtype == HALF for dtype in own)
            assert not any(isinstance(one, PackedWeight) for one in layer.parameters(recurse=False))


def test_a_copy_of_a_checkpoint_stays_small(made: Tiny, tmp_path: Path) -> None:
    """Kept in main memory or brought back to a device, layers are as small as they were."""
    file, _ = scaled(made.tensors(), "scale_weight", rows=False)
    save_file(file, tmp_path / "model.safetensors")
    checkpoint = load_checkpoint(
        model_file(tmp_path / "model.safetensors"), device=CPU, dtype=HALF, family=made.family
    )
    header = read_header(tmp_path / "model.safetensors")
    checkpoint.backbone = modules(made, tmp_path / "model.safetensors", header, HALF, small=True)["UNet 3"]
    again = copied(checkpoint, DeviceMemory(CPU)).backbone
    assert packed(again) == packed(checkpoint.backbone) != set()
    same({"unet": again}, {"unet": checkpoint.backbone})
    assert nbytes(again, HALF) == nbytes(checkpoint.backbone, HALF)
