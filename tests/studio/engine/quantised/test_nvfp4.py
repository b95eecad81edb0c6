"""NVIDIA's four bits, judged by what ComfyUI's own package made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from easel.models import Incomplete
from tests.studio.engine.quantised.loaded_parts import judged, loaded, numbers, packed

JUDGED = Path(__file__).parent / "nvfp4.safetensors"
"""A weight of 144 rows that comfy-kitchen packed, and what it made of it again: more rows and blocks than one
tile of scales has, and neither a whole number of tiles; random numbers of very different sizes by row."""


@pytest.mark.parametrize("small", [True, False])
def test_nvfp4(small: bool) -> None:
    """It means what comfy-kitchen says, and stays as small as it is."""
    asked = judged(JUDGED, "wide", 96, 144)
    asked.small = small
    module = loaded(asked, JUDGED, torch.float32)
    assert packed(module) == ({"wide"} if small else set())
    torch.testing.assert_close(
        numbers(module)["wide.weight"], load_file(JUDGED)["expanded.wide"], rtol=1e-6, atol=0
    )


BAD: dict[str, dict[str, torch.Tensor | None]] = {
    "no scales": {"wide.weight_scale": None},
    "too few scales": {"wide.weight_scale": torch.ones(128, 8).to(torch.float8_e4m3fn)},
    "scales of another type": {"wide.weight_scale": torch.ones(256, 8)},
    "scales of no numbers": {"wide.weight_scale": torch.full((256, 8), torch.nan).to(torch.float8_e4m3fn)},
    "a scale of no number": {"wide.weight_scale_2": torch.tensor(torch.inf)},
    "two scales": {"wide.weight_scale_2": torch.ones(2)},
    "a weight of numbers": {"wide.weight": torch.ones(144, 96)},
    "another weight": {"wide.weight": torch.ones(144, 40, dtype=torch.uint8)},
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD)
def test_what_does_not_fit(changes: dict[str, torch.Tensor | None], tmp_path: Path) -> None:
    """Refused by the name of what is wrong."""
    tensors = load_file(JUDGED) | changes
    path = tmp_path / "odd.safetensors"
    save_file({name: one for name, one in tensors.items() if one is not None}, path)
    with pytest.raises(Incomplete, match=r"wide\.weight"):
        loaded(judged(path, "wide", 96, 144), path, torch.float32)
