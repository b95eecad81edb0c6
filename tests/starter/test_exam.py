"""What the starter can do, asked of the shipped file and answered by pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scripts.starter import exam
from scripts.starter.judge import judge
from scripts.starter.pictures import COLOURS

STARTER = Path(__file__).parents[2] / "image" / "starter" / "easel-starter.safetensors"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def pipe() -> Any:
    """A plain diffusers pipeline with the shipped file."""
    return exam.pipeline(STARTER)


def test_two_hundred_combinations(pipe: Any) -> None:
    """Right colour and ground in 95 of 100, right shape in 90, a third of the questions new to the model."""
    answers = exam.sit(pipe, exam.questions())
    marks = exam.marks(answers)
    assert marks.ground >= 0.95, marks
    assert marks.colour >= 0.95, marks
    assert marks.shape >= 0.90, marks
    unseen = exam.marks([answer for answer in answers if answer.unseen])
    assert min(unseen.ground, unseen.colour, unseen.shape) >= 0.85, unseen


def test_a_few_combinations(pipe: Any) -> None:
    """A fifth of the same, short enough for every day."""
    marks = exam.marks(exam.sit(pipe, exam.questions()[::5]))
    assert marks.ground >= 0.95, marks
    assert marks.colour >= 0.90, marks
    assert marks.shape >= 0.80, marks


def test_guidance_brings_the_words_out(pipe: Any) -> None:
    """At CFG scale 7 pictures follow their prompts better than at 1, which is no guidance at all."""
    scenes = exam.questions()[5::14]
    with_guidance = exam.marks(exam.sit(pipe, scenes, cfg_scale=7.0))
    without = exam.marks(exam.sit(pipe, scenes, cfg_scale=1.0))

    def total(marks: exam.Marks) -> float:
        return marks.ground + marks.colour + marks.shape + marks.count

    assert total(with_guidance) > total(without)


def test_a_negative_prompt_keeps_things_away(pipe: Any) -> None:
    """The colour that comes by itself, put into the negative prompt, is in few of the pictures, and something
    is drawn all the same."""
    prompts = ["a circle on white"] * 16
    plain = [judge(picture).colour for picture in exam.draw(pipe, prompts)]
    usual = max(COLOURS, key=plain.count)
    pushed = [judge(picture).colour for picture in exam.draw(pipe, prompts, negative=usual)]
    assert plain.count(usual) >= 4, plain
    assert pushed.count(usual) <= plain.count(usual) // 3, pushed
    assert sum(colour in COLOURS for colour in pushed) >= 12, pushed


def test_steps_sharpen(pipe: Any) -> None:
    """One step is a blur, twenty are a picture: edges grow steeper and the answers better."""
    scenes = exam.questions()[3::20]
    few, many = (exam.marks(exam.sit(pipe, scenes, steps=steps)) for steps in (1, 20))
    assert many.shape + many.colour > few.shape + few.colour
    prompts = ["a large black star on white"] * 4
    blurred, sharp = (
        np.mean([steepness(picture) for picture in exam.draw(pipe, prompts, steps=steps)])
        for steps in (1, 20)
    )
    assert sharp > blurred


def steepness(picture: Image.Image) -> float:
    """The steepest change of brightness along a row, averaged over the rows."""
    rows = np.asarray(picture.convert("L")).astype(int)
    return float(np.abs(np.diff(rows)).max(axis=1).mean())
