"""Every family small and with random weights, its calls recorded: the pictures are those of the code as it is
written, whoever draws beside."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from easel.models import Architecture, ModelFile
from easel.studio.engine import TextToImage, serving
from easel.studio.engine.calls.step_times import StepTimes
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
from easel.studio.engine.loop import Loop
from easel.studio.engine.networks.extra_networks import Asked
from easel.studio.engine.picture import Picture
from easel.studio.engine.queue.job import Job
from easel.studio.engine.recorded.recorded_calls import RecordedCalls
from easel.studio.engine.recorded.recording import Recording
from easel.studio.engine.texts.picture_prompts import PicturePrompts
from tests.studio.engine.recorded.recorder_here import RecorderHere
from tests.studio.engine.tiny import PUBLISHED, tiny
from tests.studio.engine.tiny_flow import FLOWS, tiny_flow

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
    monkeypatch.setattr(Recording, "begins", lambda self, file, device: self._asked)
    monkeypatch.setattr(serving, "RecordedCalls", partial(RecordedCalls, recorders=RecorderHere))
    RecorderHere.made.clear()
    return RecorderHere.made


def loop_of(file: ModelFile, family: Any, *, recorded: bool) -> Loop:
    """One that serves this file."""
    loop = Loop(StepTimes(math.inf), "cpu", torch.float32, recording=Recording(recorded))
    loop.at_hand._load = lambda file, report, **_: load_checkpoint(  # type: ignore[method-assign]
        file, device=torch.device("cpu"), dtype=torch.float32, family=family
    )
    loop.at_hand.switch(file)
    return loop


def drawn(loop: Loop, file: ModelFile) -> list[np.ndarray[Any, Any]]:
    """What BESIDE asks for."""
    found: list[Image.Image] = []
    for requests in BESIDE:
        pictures = []
        for one in map(TextToImage.resolved, requests):
            asked = Asked(one.prompt, one.negative_prompt)
            prompts = (PicturePrompts(one.prompt, one.negative_prompt, asked, asked),)
            pictures.append(Picture(Job(owner="ada", request=one, checkpoint=file, prompts=prompts), 0))
        for picture in pictures:
            loop.begin(picture)
        while any(picture.image is None for picture in pictures):
            for picture in loop.turn().through:
                loop.drop(picture)
        found += [picture.image for picture in pictures if picture.image is not None]
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
