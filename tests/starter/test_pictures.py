"""The pictures that the starter learns from, their captions, and the pixel judge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from scipy import ndimage

from scripts.starter.captions import phrase, plain, words
from scripts.starter.exam import QUESTIONS, questions
from scripts.starter.judge import judge
from scripts.starter.pictures import (
    COLOURS,
    PLACES,
    SHAPES,
    SIDE,
    SIZES,
    Scene,
    combinations,
    compose,
    draw,
    held_out,
    sample,
)


@st.composite
def scenes(draw_from: st.DrawFn) -> Scene:
    """Any scene that the starter's words can describe."""
    colour = draw_from(st.sampled_from(sorted(COLOURS)))
    return compose(
        np.random.default_rng(draw_from(st.integers(0, 2**32))),
        draw_from(st.sampled_from(SHAPES)),
        colour,
        draw_from(st.sampled_from(sorted(set(COLOURS) - {colour}))),
        count=draw_from(st.integers(1, 3)),
        size=draw_from(st.sampled_from(SIZES)),
        place=draw_from(st.sampled_from(sorted(PLACES))),
    )


def apart(scene: Scene) -> bool:
    """Whether some ground is seen between all things."""
    alone = [
        draw(replace(scene, spots=(spot,), paint=(0, 0, 0), backdrop=(255, 255, 255)))[..., 0] < 255
        for spot in scene.spots
    ]
    return int(sum(ndimage.binary_dilation(mask, iterations=2).astype(int) for mask in alone).max()) <= 1


@settings(deadline=None)
@given(scenes())
def test_the_judge_sees_what_was_drawn(scene: Scene) -> None:
    """On drawn pictures the judge is right about ground, colour, shape and number of things that do not touch
    (of 3,000 scenes, in one the soft edges of two meet, and they are one thing to it)."""
    assume(apart(scene))
    picture = Image.fromarray(draw(scene))
    assert picture.size == (SIDE, SIDE)
    seen = judge(picture)
    assert (seen.ground, seen.colour, seen.shape, seen.count) == (
        scene.ground,
        scene.colour,
        scene.shape,
        scene.count,
    )


@settings(deadline=None, max_examples=50)
@given(scenes())
def test_the_judge_bears_a_blur(scene: Scene) -> None:
    """A VAE's soft edges do not change ground and colour."""
    seen = judge(Image.fromarray(draw(scene)).filter(ImageFilter.GaussianBlur(1.0)))
    assert (seen.ground, seen.colour) == (scene.ground, scene.colour)


def test_the_judge_sees_nothing_where_nothing_is() -> None:
    """A plain ground has no shape, and noise is none of the scenes."""
    assert judge(Image.new("RGB", (SIDE, SIDE), COLOURS["blue"])).count == 0
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    seen = judge(Image.fromarray(noise))
    assert seen.count != 1 or seen.area > 0.5 or seen.area < 0.02


@pytest.mark.parametrize("place", sorted(PLACES))
def test_places_are_where_they_say(place: str) -> None:
    """Top is up and left is left."""
    column, row = PLACES[place]
    rng = np.random.default_rng(1)
    seen = judge(Image.fromarray(draw(compose(rng, "circle", "red", "white", size="small", place=place))))
    assert np.sign(round((seen.x - 0.5) * 4)) == column
    assert np.sign(round((seen.y - 0.5) * 4)) == row


def test_sizes_are_apart() -> None:
    """Every large shape is larger than every small one."""
    rng = np.random.default_rng(2)
    areas = {
        size: [
            judge(Image.fromarray(draw(compose(rng, shape, "black", "white", size=size)))).area
            for shape in SHAPES
            for _ in range(5)
        ]
        for size in ("small", "large")
    }
    assert max(areas["small"]) * 2 < min(areas["large"])


def test_training_never_sees_what_is_held_out() -> None:
    """A quarter of the combinations stay unseen, and every shape, colour and ground is still learnt."""
    rng = np.random.default_rng(3)
    seen = {(one.shape, one.colour, one.ground) for one in (sample(rng) for _ in range(3000))}
    assert not any(held_out(*triple) for triple in seen)
    new = [triple for triple in combinations() if held_out(*triple)]
    assert 0.2 < len(new) / len(combinations()) < 0.34
    assert {triple[0] for triple in seen} == set(SHAPES)
    assert {triple[1] for triple in seen} == {triple[2] for triple in seen} == set(COLOURS)


def test_a_third_of_the_exam_was_never_trained_on() -> None:
    """The exam asks 200 things, a third of them new to the model."""
    asked = questions()
    assert len(asked) == QUESTIONS
    new = [one for one in asked if held_out(one.shape, one.colour, one.ground)]
    assert QUESTIONS // 3 <= len(new) <= QUESTIONS // 2


@settings(deadline=None)
@given(scenes(), st.integers(0, 2**32))
def test_captions_say_nothing_wrong(scene: Scene, seed: int) -> None:
    """Loose as a caption may be, it names no colour, shape or number that is not there."""
    caption = phrase(scene, np.random.default_rng(seed))
    said = set(caption.replace(",", " ").replace(".", " ").split())
    assert said & set(COLOURS) <= {scene.colour, scene.ground}
    assert {shape for shape in SHAPES if shape in said or f"{shape}s" in said} <= {scene.shape}
    numbers = {"two": 2, "three": 3, "2": 2, "3": 3, "pair": 2, "one": 1, "single": 1}
    assert {numbers[word] for word in said & set(numbers)} <= {scene.count}


@given(scenes())
@settings(deadline=None, max_examples=30)
def test_the_vocabulary_is_complete(scene: Scene) -> None:
    """The model card's word list holds every word that captions use."""
    known = set(words()) | {part for word in words() for part in word.split()}
    rng = np.random.default_rng(0)
    for caption in (plain(scene), *(phrase(scene, rng) for _ in range(20))):
        for word in caption.replace(",", " ").replace(".", " ").split():
            assert word in known, (word, caption)
