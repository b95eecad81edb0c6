"""The published configurations make encoders of the published sizes."""

from __future__ import annotations

import pytest

from easel.studio.engine.text_models.qwen3 import Qwen3Text
from easel.studio.engine.text_models.table import text_model
from tests.studio.engine.text_models.tiny_encoders import PUBLISHED


@pytest.mark.parametrize(
    ("role", "family", "parameters"),
    [
        # clip_l.safetensors is 246,144,152 bytes in fp16: these and its header
        ("clip-l", "flux-dev", 123_060_480),
        ("clip-g", "sd3", 694_659_840),
        # 9.52 GB in fp16
        ("t5-xxl", "flux-dev", 4_762_310_656),
        # Qwen2.5-7B's published 7,615,616,512, less the head
        ("qwen2.5-vl-7b", "qwen-image", 7_615_616_512 - 152_064 * 3584),
        # 27 of 36 layers, and no norm: 0.91 of 4.02, 0.75 of 7.57 thousand millions less
        ("qwen3-4b", "flux2-klein-4b", 4_022_468_096 - 9 * 100_930_816 - 2560),
        ("qwen3-8b", "flux2-klein-9b", 8_190_735_360 - 151_936 * 4096 - 9 * 192_946_432 - 4096),
        # 30 of 40 layers: 17.4 of the whole's 24 thousand millions
        ("mistral-small-24b", "flux2", 131_072 * 5120 + 30 * 555_755_520),
    ],
)
def test_parameters(role: str, family: str, parameters: int) -> None:
    """Nothing of it takes memory before its weights come."""
    module = text_model(family, role).skeleton(PUBLISHED[role])
    assert sum(one.numel() for one in module.parameters()) == parameters
    assert all(one.is_meta for one in module.parameters())


def test_qwen3_as_published() -> None:
    """4.02 thousand millions, the head being the vectors of words; Z-Image needs all layers but the last."""
    whole = Qwen3Text((-1,)).skeleton(PUBLISHED["qwen3-4b"])
    assert sum(one.numel() for one in whole.parameters()) == 4_022_468_096
    assert len(text_model("z-image", "qwen3-4b").skeleton(PUBLISHED["qwen3-4b"]).layers) == 35
