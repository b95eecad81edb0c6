"""A loop without an engine around it: a picture drawn turn by turn."""

from __future__ import annotations

from PIL import Image

from easel.models import ModelFile
from easel.studio.engine import TextToImage
from easel.studio.engine.loop import Loop
from easel.studio.engine.networks.extra_networks import Asked
from easel.studio.engine.picture import Picture
from easel.studio.engine.queue.job import Job
from easel.studio.engine.texts.picture_prompts import PicturePrompts


def drawn(loop: Loop, file: ModelFile, asked: TextToImage) -> Image.Image:
    """The first picture of a request, drawn with `file`, which serves."""
    request = asked.resolved()
    words = Asked(request.prompt, request.negative_prompt)
    prompts = (PicturePrompts(request.prompt, request.negative_prompt, words, words),)
    picture = Picture(Job(owner="ada", request=request, checkpoint=file, prompts=prompts), 0)
    loop.begin(picture)
    while picture.image is None:
        loop.turn()
    loop.drop(picture)
    return picture.image
