"""The published configurations make encoders of the published sizes."""

from __future__ import annotations

import pytest

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
    ],
)
def test_parameters(role: str, family: str, parameters: int) -> None:
    """Nothing of it takes memory before its weights come."""
    module = text_model(family, role).skeleton(PUBLISHED[role])
    assert sum(one.numel() for one in module.parameters()) == parameters
    assert all(one.is_meta for one in module.parameters())
