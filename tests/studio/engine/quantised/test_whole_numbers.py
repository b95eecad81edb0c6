"""bitsandbytes' eight bits, judged by what bitsandbytes itself made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from easel.models import Incomplete
from tests.studio.engine.quantised.loaded_parts import judged, loaded, numbers, packed

JUDGED = Path(__file__).parent / "int8.safetensors"
"""A weight that bitsandbytes 0.50.2 packed in eight bits, rows of very different sizes, and what it made of
it again."""


@pytest.mark.parametrize("small", [True, False])
def test_eight_bits_of_bitsandbytes(small: bool) -> None:
    """They mean what bitsandbytes says, and stay as small as they are."""
    asked = judged(JUDGED, "even", 128, 3)
    asked.small = small
    module = loaded(asked, JUDGED, torch.float32)
    assert packed(module) == ({"even"} if small else set())
    torch.testing.assert_close(
        numbers(module)["even.weight"], load_file(JUDGED)["expanded.even"], rtol=1e-6, atol=0
    )


BAD: dict[str, dict[str, torch.Tensor | None]] = {
    "too few scales": {"even.SCB": torch.ones(2)},
    "scales in half": {"even.SCB": torch.ones(3).half()},
    "scales of no numbers": {"even.SCB": torch.full((3,), torch.nan)},
    "a GPU's order": {"even.weight_format": torch.tensor(1, dtype=torch.uint8)},
    "a weight of numbers": {"even.weight": torch.ones(3, 128)},
    "no weight": {"even.weight": None},
    "no scales": {"even.SCB": None},
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD)
def test_what_does_not_fit(changes: dict[str, torch.Tensor | None], tmp_path: Path) -> None:
    """Refused by the name of what is wrong."""
    tensors = load_file(JUDGED) | changes
    path = tmp_path / "odd.safetensors"
    save_file({name: one for name, one in tensors.items() if one is not None}, path)
    with pytest.raises(Incomplete, match=r"even\.(SCB|weight)"):
        loaded(judged(path, "even", 128, 3), path, torch.float32)
