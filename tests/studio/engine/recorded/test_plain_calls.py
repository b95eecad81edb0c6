"""What is compiled or recorded knows the backbone as its file has it: other calls are told apart."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from easel.studio.engine.calls.device_calls import BackboneCall
from easel.studio.engine.control_models.lite_control import LiteControl
from easel.studio.engine.recorded.plain_calls import plain

NOTHING: Any = SimpleNamespace()


def call(**more: Any) -> BackboneCall:
    """One of one row."""
    numbers = torch.zeros(1, 4, 8, 8)
    return BackboneCall(
        latents=numbers, timestep=numbers[0, 0, 0, 0], guidance=NOTHING, added={}, extra=None, kind=(), **more
    )


def test_a_call_with_nothing_of_peoples_is_plain() -> None:
    """And so is one with a ControlNet, which works outside the backbone, or a cache of its features."""
    assert plain(call())
    assert plain(call(controls=(SimpleNamespace(module=NOTHING),), cache=NOTHING))


@pytest.mark.parametrize(
    "more",
    [
        {"alone": True}, {"tiling": True}, {"loras": (NOTHING,)}, {"image_prompts": (NOTHING,)},
        {"references": (NOTHING,)}, {"controls": (SimpleNamespace(module=LiteControl.__new__(LiteControl)),)},
    ],
    ids=lambda more: next(iter(more)),
)  # fmt: skip
def test_what_changes_layers_or_goes_alone_is_not(more: dict[str, Any]) -> None:
    """An `exact` picture goes alone."""
    assert not plain(call(**more))
