"""Eight bits with scales, and whatever else stands beside a weight: applied, or refused, never dropped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from easel.models import Architecture, Header, Incomplete, Piece, TensorInfo, read_header
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.checkpoints.checkpoint_parts import CheckpointPart, parts_of_file
from easel.studio.engine.checkpoints.skeleton import Skeleton, skeleton
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
from easel.studio.engine.tensors.scales import _HARMLESS
from tests.studio.engine.tiny import Tiny, model_file, tiny

CPU = torch.device("cpu")
UNET = "model.diffusion_model."
SOME = UNET + "middle_block.1.transformer_blocks.0.attn1.to_q"
CLIP = "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1"
VAE = "first_stage_model.decoder.mid.block_1.conv1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(Architecture.SD1, tmp_path_factory.mktemp("families"))


@pytest.fixture(scope="module")
def written(made: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Header:
    path = tmp_path_factory.mktemp("plain") / "plain.safetensors"
    made.write(path)
    return read_header(path)


@pytest.fixture(scope="module")
def bones(made: Tiny) -> Skeleton:
    return skeleton(made.family)


def load(made: Tiny, path: Path, tensors: dict[str, torch.Tensor]) -> Checkpoint:
    save_file(tensors, path)
    return load_checkpoint(model_file(path), device=CPU, dtype=torch.float32, family=made.family)


def scaled(
    tensors: dict[str, torch.Tensor], ending: str, rows: bool
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The file as ComfyUI's and llm-compressor's writers leave it, and what its weights mean."""
    file, meant = {UNET + "scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}, dict(tensors)
    for name, one in tensors.items():
        file[name] = one
        if not name.endswith(".weight") or one.dim() != 2 or ".attn" not in name:
            continue
        most = one.abs().amax(dim=1, keepdim=True) if rows else one.abs().amax()
        scale = (most / 448).float()
        file[name] = (one / scale).to(torch.float8_e4m3fn)
        base = name.removesuffix("weight")
        file[base + ending] = scale.reshape(-1, 1) if rows else scale
        file[base + "scale_input"] = torch.ones(1)
        meant[name] = file[name].float() * scale
    return file, meant


@pytest.mark.parametrize(("ending", "rows"), [("scale_weight", False), ("weight_scale", True)])
def test_scaled_fp8(made: Tiny, tmp_path: Path, ending: str, rows: bool) -> None:
    """A scale beside an fp8 weight is multiplied in, one for the whole or one for each row: the same model as
    one that holds the products."""
    file, meant = scaled(made.tensors(), ending, rows)
    assert sum(one.dtype == torch.float8_e4m3fn for one in file.values()) > 50
    loaded = load(made, tmp_path / "scaled.safetensors", file)
    plain = load(made, tmp_path / "plain.safetensors", meant)
    for ours, theirs in zip(
        (loaded.backbone, *loaded.text_encoders), (plain.backbone, *plain.text_encoders), strict=True
    ):
        found = ours.state_dict()
        for name, one in theirs.state_dict().items():
            assert torch.equal(found[name], one), name
    # and near what it was before: not noise
    before, after = (one.backbone.state_dict() for one in (plain, loaded))
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)


def test_scales_in_half_precision(made: Tiny, tmp_path: Path) -> None:
    """A scale below what half precision holds is applied in full precision."""
    tensors = made.tensors()
    weight = (torch.ones_like(tensors[SOME + ".weight"]) * 448).to(torch.float8_e4m3fn)
    tensors |= {SOME + ".weight": weight, SOME + ".scale_weight": torch.tensor(1e-8)}
    path = tmp_path / "small.safetensors"
    save_file(tensors, path)
    loaded = load_checkpoint(model_file(path), device=CPU, dtype=torch.float16, family=made.family)
    found = loaded.backbone.mid_block.attentions[0].transformer_blocks[0].attn1.to_q.weight
    assert torch.allclose(found.float(), torch.full_like(found.float(), 4.48e-6), rtol=0.02)


@pytest.mark.parametrize(
    ("beside", "says"),
    [
        ({SOME + ".weight.absmax": torch.ones(4)}, "bitsandbytes"),
        ({SOME + ".weight.quant_state.bitsandbytes__nf4": torch.ones(4).byte()}, "bitsandbytes"),
        ({CLIP + ".weight.quant_map": torch.ones(16)}, "its text encoder is quantised"),
        ({SOME + ".qweight": torch.ones(4, 4).int()}, "GPTQ or AWQ"),
        ({SOME + ".qweight": torch.ones(4, 4).int(), SOME + ".wscales": torch.ones(1)}, "for nunchaku"),
        ({SOME + ".SCB": torch.ones(1)}, "no weight of eight bits"),
        ({SOME + ".weight._scale": torch.ones(1)}, "quanto"),
        ({SOME + ".zero_point": torch.ones(1)}, "zero point"),
        ({SOME + ".weight_scale_inv": torch.ones(1)}, "scales of blocks"),
        ({SOME + ".weight_foo": torch.ones(1)}, "weight_foo of its UNet stands beside a weight"),
        ({SOME + ".foo": torch.ones(1)}, "stands beside a weight"),
        ({SOME + ".foo.bar": torch.ones(1)}, "stands beside a weight"),
        ({SOME + ".weight.foo": torch.ones(1)}, "stands beside a weight"),
        ({SOME + ".bias": torch.ones(64)}, "stands beside a weight"),
        ({CLIP + ".weight_foo": torch.ones(1)}, "weight_foo of its text encoder stands"),
        ({SOME + ".weight_scale": torch.ones(3)}, "3 of F32, where one number .* or one for each of its 64"),
        ({SOME + ".weight_scale": torch.ones(64, 4)}, "64x4 of F32"),
        ({SOME + ".weight_scale": torch.ones(1).int()}, "1 of I32"),
        ({SOME + ".weight_scale": torch.ones(1), SOME + ".scale_weight": torch.ones(1)}, "two scales"),
    ],
)
def test_what_is_not_understood(
    made: Tiny, written: Header, bones: Skeleton, beside: dict[str, torch.Tensor], says: str
) -> None:
    """What changes a weight in a way that is not known is refused in words, with the tensor's name."""

    def check() -> None:
        for part in parts(made, written, bones, beside):
            part.check()

    with pytest.raises(Incomplete, match=says):
        check()


def test_a_scale_that_is_no_number(made: Tiny, tmp_path: Path) -> None:
    """A scale that is not a number is refused, not multiplied in."""
    beside = {SOME + ".weight_scale": torch.tensor(float("nan"))}
    with pytest.raises(Incomplete, match="numbers that are none"):
        load(made, tmp_path / "odd.safetensors", {**made.tensors(), **beside})


def test_only_what_is_used_is_read(made: Tiny, bones: Skeleton, tmp_path: Path) -> None:
    """Integers and leftovers below the VAE's and other names are no reason to refuse; they are not read."""
    extra = {
        "first_stage_model.loss.discriminator.main.0.num_batches_tracked": torch.tensor(7),
        "first_stage_model.model_ema.num_updates": torch.tensor(5, dtype=torch.int32),
        "first_stage_model.loss.logvar": torch.zeros(()),
        "cond_stage_model.transformer.text_model.whole": torch.ones(3, dtype=torch.int64),
        UNET + "label_list": torch.ones(1000, 1000).byte(),
    }
    assert load(made, tmp_path / "model.safetensors", {**made.tensors(), **extra}).vae is not None
    header = read_header(tmp_path / "model.safetensors")
    read: set[str] = set()
    for part in parts_of_file(model_file(tmp_path / "model.safetensors"), header, None, made.family, bones):
        part.check()
        read |= {name for _, names in part.pieces for name in names}
        assert set(part.left_out) <= set(extra)
    assert not read & set(extra)


def parts(made: Tiny, header: Header, bones: Skeleton, more: dict[str, torch.Tensor]) -> list[CheckpointPart]:
    """The parts of a file with these tensors too; only its header is looked at."""
    kinds = {torch.float32: "F32", torch.uint8: "U8", torch.int32: "I32"}
    tensors = dict(header.tensors)
    for name, one in more.items():
        tensors[name] = TensorInfo(kinds[one.dtype], tuple(one.shape), 0, 0)
    whole = Header(tensors, header.metadata, header.header_bytes, header.file_bytes)
    return parts_of_file(model_file(made.family.folder / "unet/config.json"), whole, None, made.family, bones)


ENDS = st.text("abz_.", min_size=1, max_size=12).map(lambda text: text.strip(".") or "x")


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_tensor_is_dropped(made: Tiny, written: Header, bones: Skeleton, data: st.DataObject) -> None:
    """A tensor under any name below a part is used, or a scale, or refused, or told as left out.

    One beside or below a weight's own name is never merely left out.
    """
    weight = data.draw(st.sampled_from([SOME, CLIP, VAE]))
    way = data.draw(
        st.sampled_from(["{base}.{end}", "{base}.weight_{end}", "{base}.weight.{end}", "{root}.{end}"])
    )
    name = way.format(base=weight, root=weight.split(".")[0] + ".x", end=data.draw(ENDS))
    if name in written.tensors:
        return
    told: list[str] = []
    refused = ""
    for part in parts(made, written, bones, {name: torch.ones(1)}):
        try:
            part.check()
        except Incomplete as error:
            refused = str(error)
        told += part.left_out
        assert name not in part.scales.values() or name.endswith(("weight_scale", "scale_weight"))
    if "{root}" in way:
        below = name.startswith((UNET, "first_stage_model.", "cond_stage_model.transformer."))
        assert not refused
        assert (name in told) == below
    else:
        assert name[:100] in refused or name.endswith(_HARMLESS)


def test_every_piece_counts(made: Tiny, written: Header, bones: Skeleton) -> None:
    """A scale in another file of a sharded checkpoint belongs to its weight all the same."""
    found = parts(made, written, bones, {SOME + ".weight_scale": torch.ones(1)})
    (part,) = [one for one in found if one.words == "UNet"]
    ((piece, names),) = part.pieces
    scale = SOME + ".weight_scale"
    part.pieces = ((piece, [one for one in names if one != scale]), (Piece(Path("b"), piece.header), [scale]))
    part.check()
    assert part.scales == {SOME + ".weight": scale}
    assert [len(names) > 0 for _, names in part.pieces] == [True, True]
