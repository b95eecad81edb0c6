"""Every family that predicts a flow, small and with random weights, through the engine's loop."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from easel.models import Architecture
from easel.studio.engine import InvalidRequest, TextToImage
from easel.studio.engine.extra_networks import Asked
from easel.studio.engine.image_to_image import ImageToImage, Mask
from easel.studio.engine.job import Job
from easel.studio.engine.loading import load_checkpoint
from easel.studio.engine.loop import Loop
from easel.studio.engine.picture import Picture
from easel.studio.engine.picture_prompts import PicturePrompts
from easel.studio.engine.second_pass import HiresFix
from easel.studio.engine.source_image import prepared_sources
from easel.studio.engine.step_times import StepTimes
from tests.studio.engine.tiny_flow import FLOWS, tiny_flow

ASKED = TextToImage(
    prompt="a cat",
    negative_prompt="a dog",
    width=64,
    height=64,
    steps=3,
    seed=7,
    sampler="Euler",
    cfg_scale=3,
)


class Drawing:
    """A loop that serves one tiny checkpoint."""

    def __init__(self, architecture: Architecture, folder: Path) -> None:
        made = tiny_flow(architecture, folder)
        self.family, self.file = made.family, made.file
        self.loop = Loop(StepTimes(math.inf), "cpu", torch.float32)
        self.loop._load = lambda file, report, **_: load_checkpoint(  # type: ignore[method-assign]
            file, device=torch.device("cpu"), dtype=torch.float32, family=made.family
        )
        self.loop.switch(self.file)

    def picture(self, request: TextToImage) -> Picture:
        request = request.resolved()
        asked = Asked(request.prompt, request.negative_prompt)
        source = request.source
        job = Job(
            owner="ada", request=request, checkpoint=self.file,
            prompts=(PicturePrompts(request.prompt, request.negative_prompt, asked, asked),),
            sources=() if source is None else prepared_sources(source, request.width, request.height),
        )  # fmt: skip
        return Picture(job, 0)

    def together(self, *requests: TextToImage) -> list[np.ndarray[Any, Any]]:
        """Their pictures, drawn in one another's company."""
        pictures = [self.picture(one) for one in requests]
        for one in pictures:
            self.loop.begin(one)
        while any(one.image is None for one in pictures):
            self.loop.turn()
        for one in pictures:
            self.loop.drop(one)
        return [np.asarray(one.image).astype(int) for one in pictures]

    def draw(self, request: TextToImage) -> np.ndarray[Any, Any]:
        return self.together(request)[0]

    def notes(self, request: TextToImage) -> tuple[str, ...]:
        picture = self.picture(request)
        self.loop.begin(picture)
        self.loop.drop(picture)
        return picture.job.notes


@pytest.fixture(scope="module", params=FLOWS, ids=lambda one: one.value)
def drawing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Drawing:
    return Drawing(request.param, tmp_path_factory.mktemp(request.param.value))


def file(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


PICTURE = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
MASK = Image.new("L", (64, 64))
ImageDraw.Draw(MASK).rectangle((0, 0, 31, 63), fill=255)


@pytest.mark.parametrize(
    "asked",
    [
        ASKED,
        replace(ASKED, prompt="a cat AND a [dog:bird:0.5]", sampler="DPM++ 2M SDE"),
        replace(ASKED, source=ImageToImage(images=(file(PICTURE),))),
        replace(ASKED, source=ImageToImage(images=(file(PICTURE),), mask=Mask(image=file(MASK)))),
        replace(ASKED, hires=HiresFix(scale=1.5)),
    ],
    ids=["words", "composed", "over", "masked", "hires"],
)
def test_every_flow_draws(drawing: Drawing, asked: TextToImage) -> None:
    """Each way gives a picture of its size, the same again for the same seed, another for another text."""
    assert drawing.family.flow is not None
    if drawing.family.flow.needs_picture and asked.source is None:
        with pytest.raises(InvalidRequest, match="changes what it is shown"):
            drawing.draw(asked)
        return
    first, again, other = (drawing.draw(one) for one in (asked, asked, replace(asked, prompt="a red house")))
    assert first.shape[:2] == (96, 96) if asked.hires else (64, 64)
    assert np.abs(first - again).max() <= 1
    assert np.abs(first - other).max() > 1
    if asked.source is not None and asked.source.mask is not None:
        assert np.abs(first - np.asarray(PICTURE).astype(int))[:, 48:].max() == 0
