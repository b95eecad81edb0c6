"""A UNet whose deep part runs in some calls only: whose calls are whole, what they are shared by, and what
comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch

from easel.studio.engine import (
    Engine,
    HiresFix,
    InvalidRequest,
    Refiner,
    SamplerSettings,
    TextToImage,
    shared_call,
)
from easel.studio.engine.calls import deep_cache
from easel.studio.engine.calls.device_calls import BackboneCall
from easel.studio.engine.requests.request import DEEP_EVERY
from easel.studio.engine.widths.batch_width import BatchWidth
from tests.studio.engine.test_engine import SMALL, TOLERANCE, WAIT, draw, pixels

CACHED = replace(SMALL, steps=8, cache_every=DEEP_EVERY)


@dataclass
class Made:
    """The calls that were made: of each "W" or "s" for whole or shallow, how many pictures were in it, and
    how many of them keep features."""

    kinds: str = ""
    widths: list[int] = field(default_factory=list)
    keeping: list[int] = field(default_factory=list)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    """What the device is asked for from now on."""
    found, real = Made(), shared_call.call_unet

    def watched(unet: object, calls: list[BackboneCall], *more: Any) -> list[torch.Tensor]:
        found.kinds += "s" if calls[0].shallow else "W"
        assert len({one.shallow for one in calls}) == 1
        found.widths.append(len(calls))
        found.keeping.append(sum(one.cache is not None for one in calls))
        return real(unet, calls, *more)

    monkeypatch.setattr(shared_call, "call_unet", watched)
    return found


@pytest.mark.parametrize(
    ("request_", "kinds"),
    [
        pytest.param(CACHED, "WssWssWs", id="one in three"),
        pytest.param(replace(CACHED, cache_every=2), "WsWsWsWs", id="one in two"),
        pytest.param(replace(CACHED, sampler="Heun", steps=4), "WssWssW", id="calls, not steps"),
        pytest.param(replace(CACHED, prompt="a [red:green:0.5] circle"), "WssWsWss", id="another text"),
        pytest.param(replace(CACHED, prompt="a [red|green] circle"), "WsWWWWWW", id="a text for each step"),
        pytest.param(replace(CACHED, prompt="a circle AND (blue:1.3) :0.6"), "WssWssWs", id="several texts"),
        pytest.param(
            replace(CACHED, prompt="a circle <lora:one:1:stop=5>"), "WssWWssW", id="another network"
        ),
        pytest.param(
            replace(CACHED, sampling=SamplerSettings(skip_early_cond=0.5)),
            "WssWsWss",
            id="without the negative text",
        ),
        pytest.param(
            replace(CACHED, refiner=Refiner(checkpoint="second", switch_at=0.5)),
            "WssWWssW",
            id="another checkpoint",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            replace(CACHED, steps=4, hires=HiresFix(scale=1.5, denoising_strength=0.9, steps=4)),
            "WssWWssW",
            id="another size",
        ),
        pytest.param(
            replace(CACHED, sampler="DPM adaptive"),
            "",
            id="steps that follow answers",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_when_the_whole_unet_runs(drawing: Engine, made: Made, request_: TextToImage, kinds: str) -> None:
    """In one call of so many, and wherever what was kept says nothing of what is asked now."""
    draw(drawing, request_)
    if kinds:
        assert made.kinds == kinds
    else:
        assert set(made.kinds) == {"W"}


def test_off_unless_asked_for(drawing: Engine, made: Made) -> None:
    """Nothing is kept of a picture that did not ask, and every call of it is whole."""
    draw(drawing, replace(SMALL, steps=8))
    assert made.kinds == "W" * 8
    assert made.keeping == [0] * 8


def test_whole_calls_are_the_same_to_the_bit(
    drawing: Engine, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What keeps features and never takes them again is the picture without."""
    monkeypatch.setattr(deep_cache, "FIRST", SMALL.steps)
    asked = replace(SMALL, exact=True)
    (without,), (kept,) = draw(drawing, asked), draw(drawing, replace(asked, cache_every=DEEP_EVERY))
    assert made.keeping == [0] * SMALL.steps + [1] * SMALL.steps
    assert np.array_equal(pixels(kept), pixels(without))


def test_shallow_calls_draw_nearly_the_same(drawing: Engine) -> None:
    """Another picture, by a little: and not the same, which would mean that nothing was left out."""
    asked = replace(SMALL, width=128, height=128, steps=20)
    (without,), (kept,) = draw(drawing, asked), draw(drawing, replace(asked, cache_every=DEEP_EVERY))
    off = np.abs(pixels(kept) - pixels(without)).mean()
    assert 0 < off < 8


def test_the_same_in_company(drawing: Engine, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of people with the cache and without, with networks of their own and without: whole calls are shared
    by all of them, shallow ones by those who have it, and each picture is what it is alone."""
    asked = [
        CACHED,
        replace(CACHED, seed=8, prompt="two stars <lora:one:1>"),
        replace(CACHED, seed=9, prompt="a blue square <lora:two:0.7>", cache_every=2),
        replace(CACHED, seed=10, cache_every=1),
    ]
    alone = [pixels(draw(drawing, one)[0]) for one in asked]
    # As wide as there are pictures, whatever a busy machine measures.
    monkeypatch.setattr(BatchWidth, "limit", lambda self, kind: 8)
    made.__init__()  # type: ignore[misc]
    jobs = [drawing.submit(f"p{number}", one) for number, one in enumerate(asked)]
    for before, job in zip(alone, jobs, strict=True):
        assert np.abs(pixels(job.result(WAIT)[0]) - before).max() <= TOLERANCE
    calls = list(zip(made.kinds, made.widths, made.keeping, strict=True))
    assert any(kind == "W" and width > keeping > 0 for kind, width, keeping in calls)
    assert any(kind == "s" and width > 1 for kind, width, _ in calls)
    assert made.kinds.count("s") < sum(w for k, w, _ in calls if k == "s") == 5 + 5 + 4


def test_the_interval_has_bounds(drawing: Engine) -> None:
    """One call at least."""
    with pytest.raises(InvalidRequest, match="cache_every"):
        drawing.submit("ada", replace(CACHED, cache_every=0))
