"""A loop without an engine around it: pictures drawn turn by turn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image

from easel.models import ModelFile
from easel.studio.engine import TextToImage
from easel.studio.engine.calls.step_times import StepTimes
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
from easel.studio.engine.loop import Loop
from easel.studio.engine.networks.extra_networks import Asked
from easel.studio.engine.picture import Picture
from easel.studio.engine.queue.job import Job
from easel.studio.engine.texts.picture_prompts import PicturePrompts
from easel.studio.families import Family


def serving_loop(file: ModelFile, family: Family, **more: Any) -> Loop:
    """One that serves this file, which is of a family of the test's own; `more` are the loop's."""
    loop = Loop(StepTimes(math.inf), "cpu", torch.float32, **more)
    loop.at_hand._load = lambda file, report, **_: load_checkpoint(  # type: ignore[method-assign]
        file, device=torch.device("cpu"), dtype=torch.float32, family=family
    )
    loop.at_hand.switch(file)
    return loop


def drawn(loop: Loop, file: ModelFile, asked: TextToImage) -> Image.Image:
    """The first picture of a request, drawn with `file`, which serves."""
    (image,) = drawn_together(loop, file, [asked])
    return image


def drawn_together(loop: Loop, file: ModelFile, asked: Sequence[TextToImage]) -> list[Image.Image]:
    """The first picture of each request, in one another's company."""
    pictures = [_picture(file, one.resolved()) for one in asked]
    for picture in pictures:
        loop.begin(picture)
    while any(picture.image is None for picture in pictures):
        for picture in loop.turn().through:
            loop.drop(picture)
    return [picture.image for picture in pictures if picture.image is not None]


def _picture(file: ModelFile, request: TextToImage) -> Picture:
    words = Asked(request.prompt, request.negative_prompt)
    prompts = (PicturePrompts(request.prompt, request.negative_prompt, words, words),)
    return Picture(Job(owner="ada", request=request, checkpoint=file, prompts=prompts), 0)
