"""docs/reference/flows.md says what each family takes on a GPU: on paper, from layers without weights."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import nn

from easel.models import Architecture
from easel.studio.engine.checkpoints.skeleton import skeleton
from easel.studio.engine.loading.placing import drawing_bytes
from easel.studio.engine.memory.device_memory import SLACK
from easel.studio.engine.memory.memory_plan import WeightBytes, WeightPlacement, need
from easel.studio.engine.quantised.packing import expanding_bytes
from easel.studio.families import HERE, family
from infra.shapes import FAMILIES, SHAPES

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "flows.md"
GPU, HALF = torch.device("cuda"), torch.bfloat16
# Bits of a number of a linear layer's weight, of the transformer and of the text encoders: sixteen; eight; a
# GGUF of Q4_K with text encoders in eight.
PRECISIONS: dict[str, tuple[float, float]] = {"16 bits": (16, 16), "8 bits": (8, 8), "Q4_K": (4.5, 8)}
# Families of one size stand in one row.
ROWS: dict[str, str] = {
    "SD 3 medium": "sd3", "SD 3.5 medium": "sd35-medium", "SD 3.5 large": "sd35-large",
    "FLUX.1 dev, schnell, Fill, Kontext": "flux-dev", "Chroma": "chroma",
    "Z-Image, Z-Image-Turbo": "z-image", "FLUX.2 klein 4B": "flux2-klein-4b",
    "FLUX.2 klein 9B": "flux2-klein-9b", "FLUX.2 dev": "flux2",
    "Qwen-Image, Qwen-Image-Edit": "qwen-image",
}  # fmt: skip


def _linears(modules: Iterable[nn.Module]) -> list[nn.Linear]:
    return [layer for one in modules for layer in one.modules() if isinstance(layer, nn.Linear)]


def _bytes(modules: Iterable[nn.Module], bits: float) -> int:
    """Linear layers' weights in so many bits a number, all else in sixteen."""
    modules = list(modules)
    numbers = sum(parameter.numel() for one in modules for parameter in one.parameters())
    packed = sum(layer.weight.numel() for layer in _linears(modules))
    return int(((numbers - packed) * 2 + packed * bits / 8) * SLACK)


@lru_cache(maxsize=1)
def _table() -> list[str]:
    """The rows of the page."""
    rows = []
    for words, folder in ROWS.items():
        found = family(Architecture(folder))
        bones, drawing = skeleton(found), drawing_bytes(found, HALF, GPU)
        texts = [one for one in bones.text_encoders if one is not None]
        largest = max(_linears([bones.backbone, *texts]), key=lambda layer: layer.weight.numel())
        expanding = expanding_bytes(largest.out_features, largest.in_features, HALF, GPU)
        for precision, (bits, text_bits) in PRECISIONS.items():
            weights = WeightBytes(
                _bytes(texts, text_bits),
                _bytes([bones.backbone], bits),
                _bytes([bones.vae], 16),
                int(largest.weight.numel() * 2 * SLACK),
                0 if bits == 16 else expanding,
            )
            whole, beside = (
                need(weights, drawing, place) / 2**30
                for place in (WeightPlacement.WHOLE, WeightPlacement.BACKBONE)
            )
            rows.append(
                f"| {words} | {precision} | {weights.backbone / 1e9:.1f} | {weights.text_encoders / 1e9:.1f} "
                f"| {whole:.1f} GiB: {_smallest(whole)} | {beside:.1f} GiB: {_smallest(beside)} |"
            )
    return rows


def _smallest(gib: float) -> str:
    # CUDA and the driver take some of a card before the first tensor.
    fits = [one for one in SHAPES.values() if one.gpu and one.only_by == 1 and one.memory - 1 >= gib]
    return f"`{min(fits, key=lambda one: one.price).name}`" if fits else "none"


@pytest.mark.slow
def test_the_page_has_what_is_computed() -> None:
    """Row by row; whoever changes how memory is planned changes the page."""
    page = PAGE.read_text(encoding="utf-8")
    missing = [row for row in _table() if row not in page]
    assert not missing, "\n".join(_table())


def test_stack_files_are_told_by_the_same_numbers() -> None:
    """What `infra/shapes.py` says of a transformer is the page's: streamed, in 16 bits, and for CUDA."""
    rows = [
        line.split("|") for line in PAGE.read_text(encoding="utf-8").splitlines() if "| 16 bits |" in line
    ]
    page = {row[1].strip().split(",")[0].lower(): float(row[6].split(" GiB")[0]) for row in rows}
    page["flux.1"] = page.pop("flux.1 dev")
    unets = ("SD 1.5", "SD 2.1", "SDXL")
    said = {name.lower(): size for name, size in FAMILIES.items() if name not in unets}
    assert said == {name: pytest.approx(size + 1) for name, size in page.items()}


@pytest.mark.parametrize("folder", sorted(one.parent.name for one in HERE.glob("*/drawing.json")))
def test_the_page_says_how_each_is_drawn(folder: str) -> None:
    """Steps, CFG scale, distilled guidance and size are those of `drawing.json`."""
    flow = family(Architecture(folder)).flow
    assert flow is not None
    distilled = "" if flow.distilled_guidance is None else f"{flow.distilled_guidance:g}"
    row = f"| {flow.steps} | {flow.cfg_scale:g} | {distilled} | {flow.native} |".replace("|  |", "| |")
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert any(f"`{folder}`" in line and row in line for line in lines), (folder, row)
