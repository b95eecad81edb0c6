"""bitsandbytes' four bits, judged by what bitsandbytes itself made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from easel.models import Incomplete, Piece, read_header
from easel.studio.engine.checkpoints.checkpoint_parts import CheckpointPart
from tests.studio.engine.quantised.loaded_parts import loaded, numbers, packed

JUDGED = Path(__file__).parent / "bitsandbytes.safetensors"
"""Weights that bitsandbytes 0.50.2 packed, and what it made of them again: random numbers of very different
sizes by row; rows of whole blocks ("even") and rows that are none ("odd"); both tables; factors plain and
packed themselves ("nested")."""


def two(kind: str, path: Path) -> CheckpointPart:
    """A module of bitsandbytes' weights, rows of whole blocks and others."""
    with torch.device("meta"):
        module = nn.ModuleDict({"even": nn.Linear(128, 3, bias=False), "odd": nn.Linear(72, 3, bias=False)})
    header = read_header(path)
    names = [name for name in header.tensors if f".{kind}." in name and not name.startswith("expanded.")]

    def convert(tensors: Mapping[str, torch.Tensor], _: Any) -> dict[str, torch.Tensor]:
        return {name.replace(f".{kind}", ""): one for name, one in tensors.items()}

    return CheckpointPart("transformer", module, path.name, ((Piece(path, header), names),), convert)


@pytest.mark.parametrize("kind", ["nf4.plain", "nf4.nested", "fp4.plain", "fp4.nested"])
@pytest.mark.parametrize("small", [True, False])
def test_four_bits(kind: str, small: bool) -> None:
    """bitsandbytes' weights are what bitsandbytes says they are, bit for bit; rows that are no whole blocks
    are expanded at load."""
    part = two(kind, JUDGED)
    part.small = small
    module = loaded(part, JUDGED, torch.float32)
    assert packed(module) == ({"even"} if small else set())
    judged = load_file(JUDGED)
    for name in ("even", "odd"):
        assert torch.equal(numbers(module)[f"{name}.weight"], judged[f"expanded.{name}.{kind}"])


def state(**changes: Any) -> torch.Tensor:
    """What is said of "even", with some of it changed."""
    said = {"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [3, 128]} | changes
    return torch.frombuffer(bytearray(json.dumps(said).encode()), dtype=torch.uint8)


EVEN = "even.nf4.plain.weight"
STATE = EVEN + ".quant_state.bitsandbytes__nf4"
BAD_FOUR_BITS: dict[str, dict[str, torch.Tensor | None]] = {
    "another shape": {STATE: state(shape=[3, 64])},
    "no shape": {STATE: state(shape=[])},
    "a shape of letters": {STATE: state(shape="large")},
    "nothing": {STATE: state(shape=[0, 128])},
    "another block": {STATE: state(blocksize=32)},
    "no block": {STATE: state(blocksize=0)},
    "an endless block": {STATE: state(blocksize=1 << 40, shape=[3, 128])},
    "no JSON": {STATE: torch.zeros(9, dtype=torch.uint8)},
    "no text": {STATE: torch.zeros(9)},
    "a long text": {STATE: torch.zeros(1 << 20, dtype=torch.uint8)},
    "no table": {EVEN + ".quant_map": None},
    "a short table": {EVEN + ".quant_map": torch.zeros(15)},
    "a table of no numbers": {EVEN + ".quant_map": torch.full((16,), torch.nan)},
    "no factors": {EVEN + ".absmax": None},
    "factors of no numbers": {EVEN + ".absmax": torch.full((6,), torch.inf)},
    "too few factors": {EVEN + ".absmax": torch.ones(5)},
    "factors in half": {EVEN + ".absmax": torch.ones(6).half()},
    "too few bytes": {EVEN: torch.zeros((191, 1), dtype=torch.uint8)},
    "no weight": {EVEN: None},
}


@pytest.mark.parametrize("changes", BAD_FOUR_BITS.values(), ids=BAD_FOUR_BITS)
def test_four_bits_that_are_not_as_they_say(changes: dict[str, torch.Tensor | None], tmp_path: Path) -> None:
    """Nothing that is said in a file makes room for more than it holds, nor passes for another weight."""
    tensors = {name: one for name, one in load_file(JUDGED).items() if ".nf4.plain" in name} | changes
    path = tmp_path / "odd.safetensors"
    save_file({name: one for name, one in tensors.items() if one is not None}, path)
    with pytest.raises(Incomplete, match=r"even\.nf4\.plain"):
        loaded(two("nf4.plain", path), path, torch.float32)
