"""A picture goes on from the step that it had reached: by the same answers its sampler is where it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch

from easel.studio.engine import Drawn, Engine, HiresFix, TextToImage, shared_call
from tests.studio.engine.test_engine import SMALL, WAIT, pixels

ASKED = replace(SMALL, steps=6, exact=True)


@dataclass
class Kept:
    """Keeps all that a job's pictures reach, and gives `before`."""

    before: dict[int, list[torch.Tensor]] = field(default_factory=dict)
    now: dict[int, list[torch.Tensor]] = field(default_factory=dict)
    ends: list[int] = field(default_factory=list)
    keep_every: float = 0.0

    def begun(self) -> None:
        """Nothing."""

    def drawn(self, picture: Drawn) -> None:
        """Nothing."""

    def reached(self, index: int, first: int, answers: Sequence[torch.Tensor]) -> None:
        """One more part, behind those before."""
        mine = self.now.setdefault(index, [])
        assert first == len(self.before.get(index, ())) + len(mine)
        mine += answers
        self.ends.append(first + len(answers))

    def answers(self, index: int) -> Sequence[torch.Tensor]:
        """What an earlier one kept."""
        return self.before.get(index, ())


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures each call of the UNet was for."""
    made: list[int] = []
    real = shared_call.call_unet

    def counted(unet: Any, calls: list[Any], *more: Any) -> Any:
        made.append(len(calls))
        return real(unet, calls, *more)

    monkeypatch.setattr(shared_call, "call_unet", counted)
    return made


@pytest.mark.parametrize(
    "asked",
    [
        replace(ASKED, sampler="Euler a"),
        replace(ASKED, sampler="DPM++ 2M SDE", prompt="a [red:green:0.5] circle AND a square"),
        replace(ASKED, sampler="UniPC", subseed=11, subseed_strength=0.3),
        replace(ASKED, sampler="Restart"),
        replace(ASKED, sampler="DPM++ 2M", hires=HiresFix(scale=1.5, denoising_strength=0.6)),
    ],
    ids=lambda asked: asked.sampler,
)
def test_the_same_bits_with_the_rest_of_the_calls(
    engine: Engine, calls: list[int], asked: TextToImage
) -> None:
    """Of all that a picture has been answered any beginning is enough: the UNet is asked for the rest, and
    the picture has the same bits."""
    first = Kept()
    (whole,) = engine.submit("ada", asked, watcher=first).result(WAIT)
    answers, of_whole = first.now[0], len(calls)
    assert len(answers) == of_whole > 4
    for reached in (of_whole // 2, of_whole):
        calls.clear()
        again = Kept(before={0: answers[:reached]})
        (drawn,) = engine.submit("ada", asked, watcher=again).result(WAIT)
        assert np.array_equal(pixels(drawn), pixels(whole)), reached
        assert len(calls) == of_whole - reached
        assert len(again.now.get(0, [])) == of_whole - reached


@pytest.mark.parametrize("hires", [None, HiresFix(scale=1.5, denoising_strength=0.6)], ids=["plain", "hires"])
def test_with_a_cache_it_goes_on_at_a_whole_call(
    engine: Engine, calls: list[int], hires: HiresFix | None
) -> None:
    """What the UNet's deep part left is kept nowhere: a picture drawn with it is told up to a call of the
    whole UNet, and from each of those it goes on to the same bits. It once went on from any, by a whole call
    where there was none, to another picture."""
    asked = replace(ASKED, steps=8, cache_every=3, hires=hires)
    first = Kept()
    (whole,) = engine.submit("ada", asked, watcher=first).result(WAIT)
    answers, of_whole = first.now[0], len(calls)
    assert first.ends == ([3, 6] if hires is None else [3, 6, 8, 11, 14])
    for reached in first.ends:
        calls.clear()
        (drawn,) = engine.submit("ada", asked, watcher=Kept(before={0: answers[:reached]})).result(WAIT)
        assert np.array_equal(pixels(drawn), pixels(whole)), reached
        assert len(calls) == of_whole - reached


def test_answers_of_another_picture_are_not_taken(engine: Engine, calls: list[int]) -> None:
    """Of another size: it is drawn from its beginning."""
    kept = Kept(before={0: [torch.zeros(2, 4, 5, 5)] * 3})
    (drawn,) = engine.submit("ada", ASKED, watcher=kept).result(WAIT)
    assert len(calls) == ASKED.steps
    (plain,) = engine.submit("ada", ASKED).result(WAIT)
    assert np.array_equal(pixels(drawn), pixels(plain))
