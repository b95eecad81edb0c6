"""The prompt language in pictures: what a text says is what is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from easel.models import Store
from easel.studio.engine import Drawn, Engine, TextToImage
from scripts.starter.judge import judge
from tests.studio.networks import STARTER

RED = TextToImage(
    prompt="a red circle on a blue background", width=128, height=128, steps=12, seed=7, sampler="Euler"
)
GREEN = replace(RED, prompt="a green circle on a blue background")
SMALL = replace(RED, width=64, height=64, steps=4)
WAIT = 180
TOLERANCE = 2


def draw(engine: Engine, request: TextToImage) -> Drawn:
    (drawn,) = engine.submit("ada", request).result(WAIT)
    return drawn


def differs(one: Drawn, other: Drawn) -> int:
    first, second = (np.asarray(drawn.image).astype(int) for drawn in (one, other))
    return int(np.abs(first - second).max())


@pytest.mark.parametrize(
    "sampler", ["Euler", "DDIM", "DPM++ 2M", pytest.param("Heun", marks=pytest.mark.slow)]
)
def test_what_a_schedule_ends_at(engine: Engine, sampler: str) -> None:
    """Edited at the very start it is the second text, past the end the first; in between neither."""
    red, green = draw(engine, replace(RED, sampler=sampler)), draw(engine, replace(GREEN, sampler=sampler))
    edited = "a [red:green:{}] circle on a blue background"
    assert differs(draw(engine, replace(RED, sampler=sampler, prompt=edited.format(0))), green) <= TOLERANCE
    assert differs(draw(engine, replace(RED, sampler=sampler, prompt=edited.format(99))), red) <= TOLERANCE
    half = draw(engine, replace(RED, sampler=sampler, prompt=edited.format(0.5)))
    assert min(differs(half, red), differs(half, green)) > 10
    seen = judge(half.image)
    assert abs(seen.x - judge(red.image).x) < 0.06, "the first half of the steps lays the picture out"


def test_the_second_pass_goes_on_from_the_first(engine: Engine) -> None:
    """`[a:b:1.5]` is b in the second half of the second pass, and never in the first."""
    from easel.studio.engine.requests.second_pass import HiresFix

    hires = HiresFix(scale=1.5, denoising_strength=0.6)
    plain = draw(engine, replace(SMALL, hires=hires))
    edited = replace(SMALL, prompt="a [red:green:{}] circle on a blue background", hires=hires)
    never = draw(engine, replace(edited, prompt=edited.prompt.format("2.0")))
    late = draw(engine, replace(edited, prompt=edited.prompt.format("1.5")))
    assert differs(never, plain) <= TOLERANCE
    assert differs(late, plain) > TOLERANCE


def test_and_is_both(engine: Engine) -> None:
    """Composition by weights: halves of one text are the text, and two texts are seen together."""
    halves = f"{RED.prompt} :0.5 AND {RED.prompt} :0.5"
    assert differs(draw(engine, replace(RED, prompt=halves)), draw(engine, RED)) <= TOLERANCE + 1
    both = judge(draw(engine, replace(RED, prompt="a red circle :0.7 AND on a blue background :0.7")).image)
    assert (both.colour, both.ground) == ("red", "blue")


@pytest.mark.parametrize("cfg_scale", [1.0, 5.0])
def test_company_of_compositions(engine: Engine, cfg_scale: float) -> None:
    """Pictures of several texts, of edits and plain ones do not disturb each other."""
    prompts = [
        "a red circle",
        "a red circle AND blue AND a star",
        "a [red|green] circle",
        "[red:blue:2] star",
    ]
    requests = [replace(SMALL, prompt=prompt, cfg_scale=cfg_scale) for prompt in prompts]
    alone = [draw(engine, request) for request in requests]
    jobs = [engine.submit(f"owner {number}", request) for number, request in enumerate(requests)]
    for job, by_itself in zip(jobs, alone, strict=True):
        assert differs(job.result(WAIT)[0], by_itself) <= TOLERANCE


def test_emphasis_is_stronger(engine: Engine) -> None:
    """More weight on a word draws another picture than the word alone; a weight of one draws the same."""
    plain = draw(engine, replace(RED, prompt="a red circle on a blue background", cfg_scale=2))
    more = draw(engine, replace(RED, prompt="a (red:1.5) circle on a blue background", cfg_scale=2))
    ones = draw(engine, replace(RED, prompt="a (red:1.0) circle on a blue background", cfg_scale=2))
    assert differs(ones, plain) <= TOLERANCE < differs(more, plain)


@pytest.fixture(scope="module")
def chooser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine whose store has wildcards."""
    root = tmp_path_factory.mktemp("models")
    (root / "Stable-diffusion").mkdir()
    (root / "Stable-diffusion" / STARTER.name).hardlink_to(STARTER)
    (root / "wildcards").mkdir()
    (root / "wildcards" / "colour.txt").write_text("red\ngreen\n# no colour\n")
    engine = Engine(Store(root))
    engine.start()
    yield engine
    engine.stop()


@pytest.mark.parametrize("prompt", ["a {red|green} circle on blue", "a __colour__ circle on blue"])
def test_each_picture_draws_its_words(chooser: Engine, prompt: str) -> None:
    """By its own seed: the same seed the same words, told with the picture, which is that of those words."""
    request = replace(SMALL, prompt=prompt, batch_size=8)
    drawn = chooser.submit("ada", request).result(WAIT)
    words = [one.request.prompt for one in drawn]
    assert set(words) == {"a red circle on blue", "a green circle on blue"}
    assert all(one.template == (prompt, "") for one in drawn)
    for one in drawn[:2]:
        again = draw(chooser, replace(request, seed=one.seed, batch_size=1))
        plain = draw(chooser, replace(request, seed=one.seed, batch_size=1, prompt=one.request.prompt))
        assert again.request.prompt == one.request.prompt
        assert differs(again, plain) <= TOLERANCE
        assert plain.template == ("", "")


def test_a_wildcard_that_is_not_there_is_text(chooser: Engine) -> None:
    """It stands as written, and is told."""
    drawn = draw(chooser, replace(SMALL, prompt="a __color__ circle"))
    assert drawn.request.prompt == "a __color__ circle"
    assert any("No wildcard file is called color" in words for words in drawn.notes)


def test_wildcards_stay_in_their_folder(chooser: Engine, tmp_path: Path) -> None:
    """No name leads out of it."""
    for name in ("../Stable-diffusion/x", "/etc/passwd", "..", "*/../../x"):
        assert draw(chooser, replace(SMALL, steps=1, prompt=f"__{name}__")).request.prompt == f"__{name}__"
