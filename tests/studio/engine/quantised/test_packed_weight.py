"""Packed weights are the numbers that the format's own tools say, and stay packed where rows are moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from easel.studio.engine.quantised.eight_bits import EightBitPacking
from easel.studio.engine.quantised.four_bits import FourBitPacking
from easel.studio.engine.quantised.ggml import EXPANDED, GgmlPacking
from easel.studio.engine.quantised.ggml_types import BLOCKS
from easel.studio.engine.quantised.packed_weight import PackedWeight
from easel.studio.engine.quantised.packing import Packing, plane_shapes
from easel.studio.engine.quantised.side_by_side import SideBySidePacking, laid_beside
from easel.studio.engine.quantised.svdquant import PlainFourBitPacking, SvdquantPacking
from tests.studio.engine.quantised import gguf_files

TYPES = (torch.float32, torch.float16, torch.bfloat16)
TABLE = tuple(number / 64 for number in range(-8, 8))


def ggml(kind: str, rows: int, blocks_in_row: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Any:
    found = gguf_files.blocks(kind, rows, blocks_in_row, seed)
    packing = GgmlPacking(kind, blocks_in_row * BLOCKS[kind][0])
    return PackedWeight(packing, (torch.from_numpy(found),), dtype), gguf_files.expanded(kind, found)


def some(packing: Packing, rows: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> PackedWeight:
    """Random bytes that are small numbers."""
    if isinstance(packing, GgmlPacking):
        return ggml(packing.kind, rows, packing.columns // BLOCKS[packing.kind][0], seed, dtype)[0]
    if isinstance(packing, SideBySidePacking):
        parts = [some(one, rows, seed + number).planes for number, one in enumerate(packing.parts)]
        return PackedWeight(packing, laid_beside(parts, packing), dtype)
    if isinstance(packing, SvdquantPacking | PlainFourBitPacking):
        return PackedWeight(packing, _of_nunchaku(packing, rows, seed), dtype)
    noise = torch.Generator().manual_seed(seed)
    planes = []
    for name, width in zip(packing.planes, packing.widths, strict=True):
        if name.endswith("scales"):
            planes.append(torch.rand((rows, width // 4), generator=noise).view(torch.uint8))
        else:
            planes.append(torch.randint(0, 40, (rows, width), generator=noise, dtype=torch.uint8))
    return PackedWeight(packing, tuple(planes), dtype)


def _of_nunchaku(
    packing: SvdquantPacking | PlainFourBitPacking, rows: int, seed: int
) -> tuple[torch.Tensor, ...]:
    """In halves but for the codes, and the factors of floats."""
    noise = torch.Generator().manual_seed(seed)
    planes = []
    for name, (height, width) in plane_shapes(packing, rows).items():
        if name == "codes":
            planes.append(torch.randint(0, 256, (height, width), generator=noise, dtype=torch.uint8))
            continue
        floats = isinstance(packing, SvdquantPacking) and packing.floats
        kind = (
            {"row_scales": torch.float32, "block_scales": torch.float8_e4m3fn}.get(name) if floats else None
        )
        kind = kind or packing.half
        numbers = torch.rand((height, width // kind.itemsize), generator=noise) / 16
        numbers += 1 if name == "smooth" else 0.01
        planes.append(numbers.to(kind).view(torch.uint8))
    return tuple(planes)


def test_every_type_that_is_offered_is_tested() -> None:
    """The types that diffusers can expand, and no others, are judged below."""
    assert set(gguf_files.EXPANDED) == EXPANDED


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(gguf_files.EXPANDED),
    rows=st.integers(1, 9),
    blocks=st.integers(1, 5),
    seed=st.integers(0, 2**31),
    dtype=st.sampled_from(TYPES),
)
def test_ggml_is_what_the_gguf_package_says(
    kind: str, rows: int, blocks: int, seed: int, dtype: torch.dtype
) -> None:
    """Bit for bit in single precision, and that rounded in half."""
    weight, numbers = ggml(kind, rows, blocks, seed, dtype)
    assert weight.shape == numbers.shape
    assert weight.dtype == dtype
    assert torch.equal(weight.expanded(), numbers.to(dtype))


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2], ids=str)
@pytest.mark.parametrize("to", TYPES, ids=str)
def test_every_byte_is_what_torch_says(dtype: torch.dtype, to: torch.dtype) -> None:
    """All 256 of eight bits, infinity and what is no number among them."""
    codes = torch.arange(256, dtype=torch.uint8).reshape(8, 32)
    found = PackedWeight(EightBitPacking(dtype, 32, scaled=False), (codes,), to).expanded()
    assert torch.allclose(found, codes.view(dtype).to(to), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("kind", gguf_files.EXPANDED)
def test_large_weights_are_expanded_piece_by_piece(kind: str) -> None:
    """More rows than go into one piece, with some left over."""
    weight, numbers = ggml(kind, 601, 1024 // BLOCKS[kind][0])
    assert torch.equal(weight.expanded(), numbers)


@pytest.mark.parametrize("kind", gguf_files.QUANTISED)
def test_what_was_quantised_comes_back(kind: str) -> None:
    """Numbers are near what they were: not only some numbers that two programs agree upon."""
    numbers = torch.randn(8, 96, generator=torch.Generator().manual_seed(1))
    packing = GgmlPacking(kind, 96)
    packed = PackedWeight(packing, (torch.from_numpy(gguf_files.quantised(kind, numbers)),), torch.float32)
    assert (packed.expanded() - numbers).abs().max() < (0.03 if kind == "Q8_0" else 0.5)


NUNCHAKU: tuple[Packing, ...] = (
    SvdquantPacking(64, 16, torch.bfloat16, floats=False),
    SvdquantPacking(64, 0, torch.float16, floats=False),
    SvdquantPacking(64, 16, torch.float16, floats=True),
    PlainFourBitPacking(64, torch.bfloat16),
    SideBySidePacking((SvdquantPacking(16, 16, torch.bfloat16, floats=True),
                       SvdquantPacking(48, 32, torch.float16, floats=True))),
)  # fmt: skip
"""Of 64 columns. What their rows share is multiplied for several rows at once, and may differ in the last
digit with their number."""
PACKINGS: tuple[Packing, ...] = (
    GgmlPacking("Q8_0", 64), GgmlPacking("Q6_K", 512), EightBitPacking(torch.float8_e4m3fn, 24, scaled=False),
    EightBitPacking(torch.float8_e5m2, 40, scaled=True), FourBitPacking(TABLE, 16, 48), *NUNCHAKU,
)  # fmt: skip
BY_ROWS: dict[str, Callable[[Any], Any]] = {
    "chunk": lambda one: torch.chunk(one, 3, dim=0),
    "chunk, from the end": lambda one: one.chunk(2, -2),
    "split": lambda one: torch.split(one, (2, 1, 6, 3), dim=0),
    "split alike": lambda one: one.split(5),
    "first rows": lambda one: one[:7],
    "rows": lambda one: one[2:9],
    "every third row": lambda one: one[::3],
    "narrow": lambda one: one.narrow(0, 4, 5),
    "in another order": lambda one: one[torch.tensor([5, 3, 3, 0])],
    "exchanged": lambda one: torch.cat([half for half in reversed(one.chunk(2))], dim=0),
    "one again": lambda one: torch.cat([one.chunk(3)[0]]),
    "clone": lambda one: one.clone(),
    "detach": lambda one: one.detach(),
}


def parts(found: Any) -> list[torch.Tensor]:
    return list(found) if isinstance(found, list | tuple) else [found]


@pytest.mark.parametrize("packing", PACKINGS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("moved", BY_ROWS.values(), ids=BY_ROWS)
def test_rows_move_packed(packing: Packing, moved: Callable[[Any], Any]) -> None:
    """What converters do to a fused weight is done to its bytes, and means the same."""
    weight = some(packing, 12)
    wanted = parts(moved(weight.expanded()))
    found = parts(moved(weight))
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert isinstance(ours, PackedWeight)
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours.expanded(), theirs, rtol=0, atol=5e-6 if packing.shared else 0)


@pytest.mark.parametrize("packing", PACKINGS, ids=lambda one: type(one).__name__)
def test_rows_move_on_the_meta_device(packing: Packing) -> None:
    """The same without any bytes, so that a file can be checked before it is read."""
    shapes = plane_shapes(packing, 12).values()
    planes = tuple(torch.empty(shape, dtype=torch.uint8, device="meta") for shape in shapes)
    weight = PackedWeight(packing, planes, torch.bfloat16)
    first, *_ = torch.chunk(torch.cat([weight, weight]), 3, dim=0)
    assert isinstance(first, PackedWeight)
    assert first.shape == (8, packing.columns)
    assert first.expanded().is_meta
    assert (first.T @ first).shape == (packing.columns, packing.columns)


OTHERWISE: dict[str, Callable[[Any], Any]] = {
    "sum": lambda one: one + one,
    "transposed": lambda one: one.T,
    "columns": lambda one: one[:, :8],
    "columns apart": lambda one: one.chunk(2, dim=1)[1],
    "columns together": lambda one: torch.cat([one, one], dim=1),
    "with numbers": lambda one: torch.cat([one, torch.ones(2, one.shape[1])]),
    "reshaped": lambda one: one.reshape(3, -1),
    "float": lambda one: one.float().norm(dim=1),
    "double": lambda one: one.double(),
    "one row": lambda one: one[3],
    "one number": lambda one: one[3, 4],
    "two indices": lambda one: one[torch.tensor([1, 2]), torch.tensor([3, 4])],
    "linear": lambda one: torch.nn.functional.linear(torch.ones(2, one.shape[1]), one),
    "in half": lambda one: one.half(),
}


@pytest.mark.parametrize("packing", PACKINGS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("done", OTHERWISE.values(), ids=OTHERWISE)
def test_whatever_else_is_done_to_the_numbers(packing: Packing, done: Callable[[Any], Any]) -> None:
    """No operation sees bytes where numbers are meant."""
    weight = some(packing, 12)
    found, wanted = done(weight), done(weight.expanded())
    assert type(found) is torch.Tensor
    assert torch.equal(found, wanted)


def test_other_packings_are_put_together_as_numbers() -> None:
    """Rows in other types cannot lie in one plane; nor those with another table."""
    first, second = some(NUNCHAKU[0], 3), some(NUNCHAKU[0], 3, seed=1)  # what their rows share is another
    assert torch.equal(torch.cat([first, second]), torch.cat([first.expanded(), second.expanded()]))
    for one, other in (
        (GgmlPacking("Q8_0", 64), GgmlPacking("Q4_0", 64)),
        (
            EightBitPacking(torch.float8_e4m3fn, 64, scaled=False),
            EightBitPacking(torch.float8_e5m2, 64, scaled=False),
        ),
        (FourBitPacking(TABLE, 16, 64), FourBitPacking(TABLE[::-1], 16, 64)),
    ):
        first, second = some(one, 3), some(other, 4)
        found = torch.cat([first, second])
        assert type(found) is torch.Tensor
        assert torch.equal(found, torch.cat([first.expanded(), second.expanded()]))


def test_messages_show_no_numbers() -> None:
    """An error's message, and a debugger, may name a weight of gigabytes."""
    assert (
        repr(some(GgmlPacking("Q8_0", 64), 3))
        == "PackedWeight((3, 64), GgmlPacking(kind='Q8_0', columns=64))"
    )


def test_a_copy_has_bytes_of_its_own() -> None:
    """What goes to another device stays packed there."""
    for packing in PACKINGS:
        weight = some(packing, 12)
        copy = weight.copied(torch.device("cpu"))
        assert all(
            one.data_ptr() != other.data_ptr() for one, other in zip(copy.planes, weight.planes, strict=True)
        )
        assert torch.equal(copy.expanded(), weight.expanded())
