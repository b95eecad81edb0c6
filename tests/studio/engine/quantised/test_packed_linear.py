"""A layer whose weight is packed answers as one with its numbers, and whatever is done to modules leaves its
bytes alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from easel.studio.engine.checkpoints.skeleton import fill, nbytes
from easel.studio.engine.memory.offload import Offload
from easel.studio.engine.networks.decomposed import decompose
from easel.studio.engine.networks.difference import WeightDifference
from easel.studio.engine.networks.layer import run, tall, wide
from easel.studio.engine.networks.low_rank import LowRank
from easel.studio.engine.quantised.eight_bits import EightBitPacking
from easel.studio.engine.quantised.four_bits import FourBitPacking
from easel.studio.engine.quantised.ggml import GgmlPacking
from easel.studio.engine.quantised.packed_linear import PackedLinear
from easel.studio.engine.quantised.packed_modules import (
    keep_packed,
    laid_open,
    largest_expanding,
    layer_bytes,
)
from easel.studio.engine.quantised.packed_weight import PackedWeight
from easel.studio.engine.quantised.packing import Packing
from tests.studio.engine.memory.test_offload import CountedDevice
from tests.studio.engine.quantised.test_packed_weight import NUNCHAKU, TABLE, TYPES, some

CPU = torch.device("cpu")
PACKINGS: tuple[Packing, ...] = (
    GgmlPacking("Q8_0", 64), GgmlPacking("Q5_1", 64), EightBitPacking(torch.float8_e4m3fn, 64, scaled=False),
    EightBitPacking(torch.float8_e4m3fn, 64, scaled=True), FourBitPacking(TABLE, 32, 64), *NUNCHAKU,
)  # fmt: skip


class Block(nn.Module):
    """A norm, two linear layers, one of them without a bias, an embedding, and an attention of torch's."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(64)
        self.one = nn.Linear(64, 64)
        self.rows = nn.Embedding(12, 64)
        self.inner = nn.ModuleDict({"two": nn.Linear(64, 12, bias=False)})
        self.attention = nn.MultiheadAttention(64, 2, batch_first=True)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        hidden = self.one(self.norm(seen)) + self.rows(torch.arange(seen.shape[1]))
        hidden = hidden + self.attention(hidden, hidden, hidden, need_weights=False)[0]
        return self.inner["two"](hidden)


def tensors(packing: Packing, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Those of a block, with every matrix packed."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        found = {name: one.to(dtype) for name, one in Block().state_dict().items()}
    for seed, (name, one) in enumerate(found.items()):
        if one.dim() == 2:
            found[name] = some(packing, one.shape[0], seed, dtype)
    return found


def built(given: dict[str, torch.Tensor], *, packed: bool) -> Any:
    with torch.device("meta"):
        block = Block()
    if packed:
        keep_packed(block, given)
    fill(block, laid_open(block, given), CPU)
    return block


@pytest.fixture(params=PACKINGS, ids=lambda one: type(one).__name__)
def packing(request: pytest.FixtureRequest) -> Packing:
    found: Packing = request.param
    return found


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@torch.inference_mode()
def test_answers_as_with_numbers(packing: Packing, dtype: torch.dtype) -> None:
    """Bit for bit the answer of the module whose weights were expanded when it was loaded; of its layers
    those stay packed that use their weight in no other way than a linear layer does."""
    with torch.inference_mode(False):
        given = tensors(packing, dtype)
        ours, theirs = built(given, packed=True), built(given, packed=False)
    assert isinstance(ours.one, PackedLinear)
    assert isinstance(ours.inner["two"], PackedLinear)
    assert type(ours.rows.weight) is nn.Parameter
    assert ours.rows.weight.dtype == dtype
    seen = torch.randn(3, 7, 64, generator=torch.Generator().manual_seed(1)).to(dtype)
    assert not any(isinstance(one, PackedLinear) for one in theirs.modules())
    assert bool(torch.isfinite(theirs(seen)).all())
    assert torch.equal(ours(seen), theirs(seen))
    # and a weight of its own that is asked for, as some networks do
    assert torch.equal(run(ours.one, seen, ours.one.weight), run(theirs.one, seen, theirs.one.weight))
    assert (wide(ours.one), tall(ours.one)) == (64, 64)


def test_a_change_of_type_leaves_bytes_alone(packing: Packing) -> None:
    """`to`, `half` and a copy expand nothing; the layer has the new type, and computes in that."""
    block = built(tensors(packing, torch.float32), packed=True)
    before = {name: one.clone() for name, one in block.one.named_parameters() if name != "bias"}
    for changed in (block.to(torch.float16), copy.deepcopy(block).float(), block.to(torch.bfloat16).half()):
        for name, one in before.items():
            assert torch.equal(changed.one.get_parameter(name), one)
        assert changed.one.weight.dtype == changed.one.bias.dtype == changed.norm.weight.dtype
        assert changed.one(torch.ones(1, 64, dtype=changed.one.bias.dtype)).dtype == changed.one.bias.dtype
    assert block.one.weight.dtype == torch.float16


def test_bytes_are_counted_as_they_lie() -> None:
    """Plans count what a module keeps, before it has any weights and behind."""
    given = tensors(GgmlPacking("Q8_0", 64), torch.float16)
    with torch.device("meta"):
        block = Block()
    keep_packed(block, given)
    # 34 bytes for 32 numbers: of one and two; in half all others
    packed = (64 + 12) * 2 * 34
    plain = 2 * (2 * 64 + 64 + 12 * 64 + 4 * (64 * 64 + 64))
    assert nbytes(block, torch.float16) == packed + plain
    fill(block, laid_open(block, given), CPU)
    assert nbytes(block, torch.float16) == packed + plain
    assert sum(one.nbytes for one in block.parameters()) == packed + plain
    assert layer_bytes(block.one, torch.float16) == 64 * 2 * 34 + 2 * 64
    assert largest_expanding(block, torch.float16, CPU) > 64 * 64 * 2
    assert largest_expanding(block.norm, torch.float16, CPU) == 0


@torch.inference_mode()
def test_layers_that_wait_elsewhere(packing: Packing) -> None:
    """A packed layer waits in main memory as it is, and comes to the device small: never is there more than
    one layer's bytes."""
    with torch.inference_mode(False):
        given = tensors(packing, torch.float32)
        here, waiting = built(given, packed=True), built(given, packed=True)
    del waiting.attention, here.attention
    memory = CountedDevice(1 << 20)
    Offload(memory).add(waiting)
    seen = torch.randn(3, 7, 64, generator=torch.Generator().manual_seed(1))
    names = ("norm", "one", "inner.two")
    for name in names:
        assert torch.equal(waiting.get_submodule(name)(seen), here.get_submodule(name)(seen))
    assert memory.copies > len(names)
    assert memory.most == max(layer_bytes(here.get_submodule(name), torch.float32) for name in names)


def _low_rank(noise: torch.Generator) -> LowRank:
    return LowRank(torch.randn(4, 64, generator=noise) / 8, torch.randn(64, 4, generator=noise) / 8, 0.5)


@torch.inference_mode()
def test_networks_work_beside_packed_weights(packing: Packing) -> None:
    """LoRAs, which look at what a layer is shown, and DoRAs, which look at its weight too, add the same."""
    with torch.inference_mode(False):
        given = tensors(packing, torch.float32)
        ours, theirs = built(given, packed=True).one, built(given, packed=False).one
    noise = torch.Generator().manual_seed(2)
    seen, lora = torch.randn(3, 64, generator=noise), _low_rank(noise)
    lengths = torch.rand(64, generator=noise) + 0.5
    difference = WeightDifference(torch.randn(64, 64, generator=noise))
    for changes in (
        (lora, lora),
        (difference, difference),
        (decompose(lora, ours, lengths, of_input=True), decompose(lora, theirs, lengths, of_input=True)),
        (decompose(lora, ours, lengths, of_input=False), decompose(lora, theirs, lengths, of_input=False)),
    ):
        found, wanted = (
            change.added(layer, seen, layer(seen))
            for change, layer in zip(changes, (ours, theirs), strict=True)
        )
        assert torch.equal(found, wanted)
    assert torch.equal(lora.matrix(ours), lora.matrix(theirs))


def test_tied_weights_are_expanded_once() -> None:
    """One tensor under two names is one in memory too."""
    weight = some(GgmlPacking("Q8_0", 64), 12)
    module = nn.ModuleDict({"one": nn.Embedding(12, 64), "two": nn.Embedding(12, 64)})
    found = laid_open(module, {"one.weight": weight, "two.weight": weight})
    assert found["one.weight"] is found["two.weight"]


def test_a_packed_weight_is_no_parameter_of_its_own() -> None:
    """Nobody can put numbers where bytes are."""
    layer = PackedLinear(some(GgmlPacking("Q8_0", 64), 12), bias=True)
    assert isinstance(layer.weight, PackedWeight)
    assert dict(layer.named_parameters()).keys() == {"blocks", "bias"}
    with pytest.raises(KeyError):
        layer.weight = nn.Parameter(torch.ones(12, 64))


def test_state_is_that_of_any_linear_layer(packing: Packing) -> None:
    """Names and shapes stay, so that converters which look at them cut as ever; what is not packed alike, or
    not there, is not taken for it."""
    given = tensors(packing, torch.float16)
    block = built(given, packed=True)
    assert {name: one.shape for name, one in block.state_dict().items()} == {
        name: one.shape for name, one in given.items()
    }
    other = built(tensors(packing, torch.float32), packed=True)
    other.load_state_dict(block.state_dict(), assign=True)
    assert torch.equal(other.one.weight.expanded(), block.one.weight.expanded())
    assert other.one.weight.dtype == torch.float16
    with pytest.raises(RuntimeError, match=r"one\.weight is not packed as"):
        block.load_state_dict({**block.state_dict(), "one.weight": torch.ones(64, 64)}, assign=True)
    with pytest.raises(RuntimeError, match=r"one\.bias"):
        block.load_state_dict(
            {name: one for name, one in block.state_dict().items() if name != "one.bias"}, assign=True
        )
