"""Layers whose weights stay packed, against the same with their numbers: time of a call, and memory.

Eight of Flux's width, one behind the other, for EASEL_BENCH_TOKENS tokens (256; a picture of 1024 x 1024 has
4608, by which expanding weighs less), on the CPU in single precision. Memory is all weights, and what the
process holds on top at the most during a call.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import nn

from bench.table import comparison, in_turns
from easel.studio.engine.quantised import (
    EightBitPacking,
    FourBitPacking,
    GgmlPacking,
    PackedWeight,
    Packing,
    SvdquantPacking,
    keep_packed,
    laid_open,
    plane_shapes,
)

ROUNDS = 10
LAYERS, WIDTH = 8, 3072
PACKINGS: dict[str, Packing] = {
    "svdq-int4": SvdquantPacking(WIDTH, 32, torch.bfloat16, floats=False),
    "fp8": EightBitPacking(torch.float8_e4m3fn, WIDTH, scaled=False),
    "fp8 with a scale": EightBitPacking(torch.float8_e4m3fn, WIDTH, scaled=True),
    "GGUF Q8_0": GgmlPacking("Q8_0", WIDTH),
    "GGUF Q6_K": GgmlPacking("Q6_K", WIDTH),
    "GGUF Q4_K": GgmlPacking("Q4_K", WIDTH),
    "NF4": FourBitPacking(tuple(number / 8 for number in range(-8, 8)), 64, WIDTH),
}


def rows() -> Iterator[list[str]]:
    """Seconds of a call and megabytes, of each packing."""
    tokens = int(os.environ.get("EASEL_BENCH_TOKENS", "256"))
    seen = torch.randn(tokens, WIDTH, generator=torch.Generator().manual_seed(0))
    plain = nn.Sequential(*(nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS)))
    for name, packing in PACKINGS.items():
        packed = _packed(packing)
        took = in_turns(
            lambda _, one=packed: _seconds(one, seen), lambda _: _seconds(plain, seen), ROUNDS + 1
        )
        yield comparison(f"{name}, {LAYERS} layers for {tokens} tokens", took[1:], "")
        held = in_turns(lambda _, one=packed: _held(one, seen), lambda _: _held(plain, seen), ROUNDS)
        yield comparison(f"{name}, memory of {LAYERS} layers", held, "< 1", megabytes)


def megabytes(sizes: Sequence[float]) -> str:
    """Median and range."""
    return f"{statistics.median(sizes):.0f} MB ({min(sizes):.0f}-{max(sizes):.0f})"


def _packed(packing: Packing) -> nn.Module:
    """Layers of random bytes; those below a certain one are small numbers in all packings."""
    noise = torch.Generator().manual_seed(1)
    with torch.device("meta"):
        module = nn.Sequential(*(nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS)))
    tensors: dict[str, torch.Tensor] = {}
    for number in range(LAYERS):
        planes = tuple(
            torch.randint(0, 30, shape, generator=noise, dtype=torch.uint8)
            for shape in plane_shapes(packing, WIDTH).values()
        )
        tensors[f"{number}.weight"] = PackedWeight(packing, planes, torch.float32)
        tensors[f"{number}.bias"] = torch.zeros(WIDTH)
    keep_packed(module, tensors)
    module.load_state_dict(laid_open(module, tensors), assign=True)
    return module


def _seconds(layers: nn.Module, seen: torch.Tensor) -> float:
    began = time.perf_counter()
    with torch.inference_mode():
        layers(seen)
    return time.perf_counter() - began


def _held(layers: nn.Module, seen: torch.Tensor) -> float:
    """Megabytes: of the weights, and what comes on top during a call."""
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    with torch.inference_mode():
        layers(seen)
    own = sum(one.nbytes for one in layers.parameters()) / 1e6
    return own + _memory("VmHWM") - before


def _memory(which: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which)) * 1024 / 1e6
