"""Every family small and with random weights, its calls recorded: the pictures are those of the code as it is
written, whoever draws beside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from easel.models import Architecture, ModelFile
from easel.studio.engine import TextToImage
from easel.studio.engine.loop import Loop
from easel.studio.engine.recorded.recording import Recording
from easel.studio.families import Family
from tests.studio.engine.driven_loop import drawn_together, serving_loop
from tests.studio.engine.recorded.recorder_here import RecorderHere, record_here
from tests.studio.engine.tiny import PUBLISHED, tiny
from tests.studio.engine.tiny_flow import FLOWS, tiny_flow

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = TextToImage(
    prompt="a cat",
    negative_prompt="a dog",
    width=64,
    height=64,
    steps=5,
    seed=7,
    sampler="Euler",
    cfg_scale=3,
)
# Alone until it is recorded, then others in its company, then another size.
BESIDE = [
    [SMALL],
    [SMALL, replace(SMALL, seed=8, prompt="two cats")],
    [replace(SMALL, seed=9), replace(SMALL, seed=10, cfg_scale=5), replace(SMALL, width=128)],
]  # fmt: skip


@pytest.fixture(autouse=True)
def recorders(monkeypatch: pytest.MonkeyPatch) -> list[RecorderHere]:
    """Recorded here too."""
    return record_here(monkeypatch)


def loop_of(file: ModelFile, family: Family, *, recorded: bool) -> Loop:
    """One that serves this file."""
    return serving_loop(file, family, recording=Recording(recorded))


def drawn(loop: Loop, file: ModelFile) -> list[np.ndarray[Any, Any]]:
    """What BESIDE asks for."""
    found = [image for requests in BESIDE for image in drawn_together(loop, file, requests)]
    return [np.asarray(one, dtype=int) for one in found]


# They look at a picture, and go alone.
SHOWN = (Architecture.QWEN_IMAGE_EDIT,)
FAMILIES: list[tuple[Architecture, Callable[..., Any]]] = [
    *((one, tiny) for one in PUBLISHED),
    *((one, tiny_flow) for one in FLOWS if one not in SHOWN),
]


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "make"), FAMILIES, ids=[one.name for one, _ in FAMILIES])
def test_recorded_pictures_are_those_as_written(
    architecture: Architecture, make: Callable[..., Any], tmp_path: Path, recorders: list[RecorderHere]
) -> None:
    """Within 2 of 255 in any company; what a family reads while it is recorded, it says."""
    made = make(architecture, tmp_path)
    file = made.file if make is tiny_flow else made.write(tmp_path / "tiny.safetensors")
    written = drawn(loop_of(file, made.family, recorded=False), file)
    loop = loop_of(file, made.family, recorded=True)
    recorded = drawn(loop, file)
    for ours, theirs in zip(recorded, written, strict=True):
        assert np.abs(ours - theirs).max() <= 2
    assert recorders[-1].played > 0
    assert loop.at_hand._recording.why == ""
