"""FLUX.1 as nunchaku has it, in a store, through the real store and engine, with a LoRA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxTransformer2DModel

from easel.models import Architecture, read_header
from easel.models.precision import precision_of
from easel.studio.engine.quantised.packed_linear import PackedLinear
from tests.studio.engine import tiny_flow
from tests.studio.engine.flow_store import CHECKPOINTS, FlowStore, engine, maker
from tests.studio.engine.quantised import nunchaku_files
from tests.studio.engine.test_flow_sets import draw, load

FLUX, WIDTH = Architecture.FLUX_DEV, 128
NAMES = {False: "svdq-int4_r32-flux.1-dev", True: "svdq-fp4_r32-flux.1-dev"}
_LAYERS = {
    "double_blocks_0_img_attn_qkv": (WIDTH, 3 * WIDTH), "double_blocks_0_img_mlp_2": (4 * WIDTH, WIDTH),
    "single_blocks_0_linear2": (5 * WIDTH, WIDTH), "single_blocks_0_modulation_lin": (WIDTH, 3 * WIDTH),
}  # fmt: skip


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlowStore:
    """Wide enough for whole tiles."""
    wide = {"attention_head_dim": 64, "axes_dims_rope": [16, 24, 24]}
    monkeypatch.setitem(tiny_flow._TRANSFORMERS, "flux", tiny_flow._TRANSFORMERS["flux"] | wide)
    return maker(tmp_path, monkeypatch)(FLUX)


def write(files: FlowStore, *, floats: bool) -> str:
    """The file, and one of the numbers that it means. Returns its name."""
    network: Any = FluxTransformer2DModel.from_pretrained(files.folders[FLUX] / "transformer")
    made = nunchaku_files.flux(network, floats=floats)
    files.write(CHECKPOINTS, f"{NAMES[floats]}.safetensors", made.finished())
    files.write(CHECKPOINTS, "dense.safetensors", made.meant)
    noise = torch.Generator().manual_seed(0)
    style = {}
    for name, (into, out) in _LAYERS.items():
        for kind, shape in (("down", (4, into)), ("up", (out, 4))):
            style[f"lora_unet_{name}.lora_{kind}.weight"] = torch.randn(shape, generator=noise) * into**-0.25
        style[f"lora_unet_{name}.alpha"] = torch.tensor(4.0)
    files.write("Lora", "style.safetensors", style)
    return NAMES[floats]


@pytest.mark.parametrize("floats", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_drawn_with_and_without_a_lora(files: FlowStore, floats: bool) -> None:
    """Known by its header; its pictures are those of the numbers that it means, and so with a LoRA on layers
    that are fused, split or of 16 bits in the file; and it stays small."""
    files.write_parts(FLUX)
    name = write(files, floats=floats)
    with engine(files) as running:
        ours, theirs = (draw(running, checkpoint=one) for one in (name, "dense"))
        styled = [draw(running, checkpoint=one, prompt="a cat <lora:style:0.5>") for one in (name, "dense")]
    assert np.abs(ours - theirs).max() <= 1
    assert np.abs(styled[0] - styled[1]).max() <= 1
    assert np.abs(styled[0] - ours).mean() > 1
    assert ours.std() > 5
    loaded, dense = load(files, name), load(files, "dense")
    assert sum(isinstance(one, PackedLinear) for one in loaded.backbone.modules()) == 20
    assert loaded.nbytes < dense.nbytes
    header = read_header(files.root / CHECKPOINTS / f"{name}.safetensors")
    assert precision_of(header) == ("svdq-fp4" if floats else "svdq-int4")
