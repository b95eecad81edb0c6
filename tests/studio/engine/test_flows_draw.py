"""Every family that predicts a flow, small and with random weights, through the engine's loop."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from easel.models import Architecture
from easel.studio.engine import InvalidRequest, TextToImage
from easel.studio.engine.calls.device_calls import BackboneCall
from easel.studio.engine.networks.extra_networks import Asked
from easel.studio.engine.picture import Picture
from easel.studio.engine.queue.job import Job
from easel.studio.engine.requests.image_to_image import FoundNoise, ImageToImage, Mask
from easel.studio.engine.requests.second_pass import HiresFix
from easel.studio.engine.requests.shown_pictures import opened_pictures
from easel.studio.engine.requests.source_image import prepared_sources
from easel.studio.engine.texts.picture_prompts import PicturePrompts
from tests.studio.engine.driven_loop import serving_loop
from tests.studio.engine.tiny_flow import FLOWS_BY_DAY, tiny_flow

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
        self.loop = serving_loop(self.file, made.family)

    def picture(self, request: TextToImage) -> Picture:
        request = request.resolved()
        asked = Asked(request.prompt, request.negative_prompt)
        source = request.source
        job = Job(
            owner="ada", request=request, checkpoint=self.file,
            prompts=(PicturePrompts(request.prompt, request.negative_prompt, asked, asked),),
            sources=[] if source is None else prepared_sources(source, request.width, request.height),
            shown=opened_pictures(request, None),
        )  # fmt: skip
        return Picture(job, 0)

    def together(self, *requests: TextToImage) -> list[np.ndarray[Any, Any]]:
        """Their pictures, drawn in one another's company."""
        pictures = [self.picture(one) for one in requests]
        for one in pictures:
            self.loop.begin(one)
        while any(one.image is None for one in pictures):
            for one in self.loop.turn().through:
                self.loop.drop(one)
        return [np.asarray(one.image).astype(int) for one in pictures]

    def draw(self, request: TextToImage) -> np.ndarray[Any, Any]:
        return self.together(request)[0]

    def notes(self, request: TextToImage) -> tuple[str, ...]:
        picture = self.picture(request)
        self.loop.begin(picture)
        self.loop.drop(picture)
        return picture.job.notes


@pytest.fixture(scope="module", params=FLOWS_BY_DAY)
def drawing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Drawing:
    return Drawing(request.param, tmp_path_factory.mktemp(request.param.value))


def file(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


PICTURE = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
MASK = Image.new("L", (64, 64))
ImageDraw.Draw(MASK).rectangle((0, 0, 31, 63), fill=255)


@pytest.mark.thinned(4)
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
    otherwise = replace(asked, prompt="a red house")
    if drawing.family.flow.needs_picture:  # in which a few words are among a thousand tokens of the picture
        otherwise = replace(asked, source=replace(asked.source, images=(file(PICTURE.rotate(90)),)))
    first, again, other = (drawing.draw(one) for one in (asked, asked, otherwise))
    assert first.shape[:2] == (96, 96) if asked.hires else (64, 64)
    assert np.abs(first - again).max() <= 1
    assert np.abs(first - other).max() > 1
    if asked.source is not None and asked.source.mask is not None:
        assert np.abs(first - np.asarray(PICTURE).astype(int))[:, 48:].max() == 0


def sent(picture: Image.Image, strength: float) -> TextToImage:
    return replace(
        ASKED, source=ImageToImage(images=(file(picture),), denoising_strength=strength), exact=True
    )


def test_who_edits_looks_at_the_picture(drawing: Drawing) -> None:
    """Drawn from noise alone, a picture depends on the one that was sent where the model looks at it, and not
    at all elsewhere."""
    one, other = (drawing.draw(sent(each, 1.0)) for each in (PICTURE, PICTURE.rotate(90)))
    assert drawing.family.flow is not None
    assert np.array_equal(one, other) is not drawing.family.flow.edits


@pytest.mark.parametrize("way", ["words", "over"])
def test_several_pictures_are_looked_at(drawing: Drawing, way: str) -> None:
    """By words alone and beside a source, each of them and their order count; pictures are of sizes of their
    own. Who looks at none refuses them."""
    assert drawing.family.flow is not None
    gradient, noise = PICTURE.resize((96, 48)), Image.effect_noise((40, 70), 90).convert("RGB")
    plain = sent(PICTURE, 1.0) if way == "over" else replace(ASKED, exact=True)
    asked = [replace(plain, shown=tuple(map(file, some)))
             for some in ((gradient, noise), (noise, gradient), (gradient,))]  # fmt: skip
    if not drawing.family.flow.edits:
        with pytest.raises(InvalidRequest, match="looks at no pictures"):
            drawing.draw(asked[0])
        return
    drawn = [drawing.draw(one) for one in asked]
    assert all(one.shape[:2] == (64, 64) for one in drawn)
    assert not any(np.array_equal(one, drawn[0]) for one in drawn[1:])


def asking(drawing: Drawing, prompt: str, **changes: Any) -> TextToImage:
    """Such as this family can draw."""
    assert drawing.family.flow is not None
    wanted = replace(ASKED, prompt=prompt, **changes)
    if not drawing.family.flow.needs_picture:
        return wanted
    return replace(wanted, source=ImageToImage(images=(file(PICTURE),), denoising_strength=1.0))


def test_company_changes_nothing(drawing: Drawing) -> None:
    """Three people with texts, seeds, guidance and numbers of steps of their own share calls; each has the
    picture that is drawn alone, but for what rounds otherwise in a wider call."""
    asked = [
        asking(drawing, "a cat", seed=1),
        asking(drawing, "a red house by the sea, at night", seed=2, steps=5, distilled_guidance=2.0),
        asking(drawing, "", seed=3, cfg_scale=2.0, sampler="DPM++ 2M"),
    ]
    alone = [drawing.draw(one) for one in asked]
    for one, other in zip(drawing.together(*asked), alone, strict=True):
        assert np.abs(one - other).max() <= 2


def test_exact_ones_have_the_same_bits(drawing: Drawing) -> None:
    """With `exact` not even that."""
    asked = [
        asking(drawing, words, seed=number, exact=True) for number, words in enumerate(("a cat", "a dog"))
    ]
    alone = [drawing.draw(one) for one in asked]
    together = drawing.together(*asked, asking(drawing, "a bird"))
    assert all(np.array_equal(one, other) for one, other in zip(together, alone, strict=False))


def test_they_do_share_calls(drawing: Drawing) -> None:
    """Two who ask for the same size wait for calls of one kind; whoever looks at a picture goes alone."""
    assert drawing.family.flow is not None
    pictures = [
        drawing.picture(asking(drawing, words)) for words in ("a cat", "a much longer text than that")
    ]
    for one in pictures:
        drawing.loop.begin(one)
    while not all(isinstance(one.call, BackboneCall) for one in pictures):
        drawing.loop.turn()
    shared = not drawing.family.flow.needs_picture
    first, second = (one.call for one in pictures)
    assert isinstance(first, BackboneCall)
    assert (first.kind == second.kind and not first.alone) is shared
    for one in pictures:
        drawing.loop.drop(one)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampler": "DPM++ SDE"}, "Euler a was taken"),
        ({"clip_skip": 2}, "Clip skip 2 counts for nothing"),
        ({"cache_every": 3}, "cache counts for nothing"),
        ({"tiling": True}, "do not meet"),
    ],
)
def test_what_counts_for_nothing_is_told(drawing: Drawing, changes: dict[str, Any], words: str) -> None:
    """One sentence each; and nothing is said of a request that asks for none of it."""
    plain, asked = asking(drawing, "a cat"), asking(drawing, "a cat", **changes)
    assert any(words in note for note in drawing.notes(asked))
    assert not any(words in note for note in drawing.notes(plain))


def test_distilled_guidance_counts_where_it_was_distilled(drawing: Drawing) -> None:
    """For Flux.1 dev and its kind; the others are told nothing, and draw the same."""
    assert drawing.family.flow is not None
    weak, strong = (drawing.draw(asking(drawing, "a cat", distilled_guidance=scale)) for scale in (1.0, 30.0))
    assert bool(np.abs(weak - strong).max() > 1) is (drawing.family.flow.distilled_guidance is not None)


def test_a_way_back_to_noise_is_refused(drawing: Drawing) -> None:
    """A1111's img2img alternative test reckons with a UNet's noise."""
    source = ImageToImage(images=(file(PICTURE),), found_noise=FoundNoise())
    with pytest.raises(InvalidRequest, match="no way back"):
        drawing.notes(replace(ASKED, source=source))
