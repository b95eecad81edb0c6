"""Networks on layers whose weights stay packed (fp8, GGUF): as on the numbers that they are expanded to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from easel.models import Architecture
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.checkpoints.skeleton import fill, skeleton
from easel.studio.engine.networks.adapters import Adapters
from easel.studio.engine.quantised.eight_bits import EightBitPacking
from easel.studio.engine.quantised.ggml import GgmlPacking
from easel.studio.engine.quantised.packed_linear import PackedLinear
from easel.studio.engine.quantised.packed_modules import keep_packed, laid_open
from easel.studio.engine.quantised.packed_weight import PackedWeight
from tests.studio.engine.networks import flow_loras, judges
from tests.studio.engine.networks.flow_loras import inputs, use, velocity
from tests.studio.engine.quantised import gguf_files

KINDS = ("lora", "dora-rows", "dora-columns", "loha", "lokr", "glora", "oft", "boft", "ia3-input",
         "ia3-output", "full")  # fmt: skip
BLOCKS = ("transformer_blocks.0.attn.to_q", "transformer_blocks.0.ff.net.2",
          "single_transformer_blocks.0.proj_out")  # fmt: skip


def packed(weight: torch.Tensor, how: str) -> PackedWeight:
    """The weight in eight bits."""
    if how == "Q8_0":
        packing = GgmlPacking(how, weight.shape[1])
        return PackedWeight(packing, (torch.from_numpy(gguf_files.quantised(how, weight)),), weight.dtype)
    numbers = weight.to(torch.float8_e4m3fn).view(torch.uint8)
    return PackedWeight(
        EightBitPacking(torch.float8_e4m3fn, weight.shape[1], scaled=False), (numbers,), weight.dtype
    )


def rebuilt(whole: Checkpoint, given: dict[str, torch.Tensor]) -> Checkpoint:
    """The checkpoint with these weights."""
    network = skeleton(whole.family).backbone
    keep_packed(network, given)
    fill(network, laid_open(network, given), torch.device("cpu"))
    return replace(whole, backbone=network)


@pytest.fixture(scope="module", params=["Q8_0", "fp8"])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Checkpoint, Checkpoint]:
    """A tiny Flux with every matrix packed, and the same with the numbers that these are."""
    whole = flow_loras.checkpoint(Architecture.FLUX_DEV, tmp_path_factory.mktemp("flow"))
    given = dict(whole.backbone.state_dict())
    for name, layer in whole.backbone.named_modules():
        if isinstance(layer, nn.Linear) and layer.in_features % 32 == 0:
            given[f"{name}.weight"] = packed(layer.weight, request.param)
    plain = {name: one.expanded() if isinstance(one, PackedWeight) else one for name, one in given.items()}
    return rebuilt(whole, given), rebuilt(whole, plain)


@pytest.mark.parametrize("kind", KINDS)
def test_as_on_the_numbers(both: tuple[Checkpoint, Checkpoint], kind: str, tmp_path: Path) -> None:
    """Each kind, those that look at the layer's weight too; and the weight stays packed."""
    ours, theirs = both
    torch.manual_seed(6)
    tensors: dict[str, torch.Tensor] = {}
    for name in BLOCKS:
        layer = theirs.backbone.get_submodule(name)
        judged = judges.judged(kind, "unet", name, layer)
        tensors |= {f"lora_unet_{name.replace('.', '_')}.{role}": one for role, one in judged.tensors.items()}
        assert isinstance(ours.backbone.get_submodule(name), PackedLinear)
    asked, given = use(tmp_path / "x.safetensors", tensors), inputs(ours, 2)
    answers = []
    for whole in both:
        adapters = Adapters(whole)
        adapters.need([asked], ())
        with adapters.at_work([asked]):
            answers.append(velocity(whole, given))
        adapters.clear()
    largest = float(answers[1].abs().max())
    assert float((answers[0] - answers[1]).abs().max()) <= 1e-5 * max(1.0, largest)
    assert float((answers[0] - velocity(ours, given)).abs().max()) > 1e-3
    assert isinstance(ours.backbone.get_submodule(BLOCKS[0]).weight, PackedWeight)
