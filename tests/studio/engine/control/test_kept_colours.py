"""tile_colorfix: what is drawn has the large colours of the control's picture, whatever is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from easel.studio.engine import ControlUnit, Engine, HiresFix, TextToImage
from easel.studio.engine.control_models.controls import Hint, PreparedControl
from easel.studio.engine.control_models.kept_colours import KeptColours
from easel.studio.png import encode
from tests.studio.engine.conftest import STARTER
from tests.studio.engine.control.driving import starter_store

SIDE, WAIT = 128, 180
ASKED = TextToImage(prompt="a red circle on a blue background", width=SIDE, height=SIDE, steps=5, seed=7)
FADE = Image.merge("RGB", [Image.linear_gradient("L").resize((SIDE, SIDE)).rotate(90 * n) for n in range(3)])
UNIT = ControlUnit(model="net", module="tile_colorfix", image=encode(FADE), threshold_a=3)


def prepared(unit: ControlUnit) -> PreparedControl:
    hint = {(64, 64): Hint(np.zeros((64, 64, 3), np.uint8))}
    return PreparedControl(unit, None, (hint,), FADE)  # type: ignore[arg-type]


def test_the_blur_is_the_pictures() -> None:
    """Moved latents have the picture's blur in place of their own, and what is fine of their own; half a
    weight goes half the way; sharper is for the negative prompt alone."""
    torch.manual_seed(0)
    source, rows = torch.randn(1, 4, 40, 40), torch.randn(3, 4, 40, 40)
    kept = KeptColours(prepared(UNIT), source)
    moved = kept.moved(rows, 1)
    box = torch.nn.functional.avg_pool2d
    around = [torch.nn.functional.pad(one, (6, 6, 6, 6), mode="replicate") for one in (source, rows)]
    assert torch.allclose(moved, box(around[0], 13, stride=1) - box(around[1], 13, stride=1), atol=1e-6)
    half = KeptColours(prepared(replace(UNIT, weight=0.5)), source).moved(rows, 1)
    assert torch.allclose(half * 2, moved, atol=1e-6)
    sharp = KeptColours(prepared(replace(UNIT, module="tile_colorfix+sharp")), source).moved(rows, 1)
    assert torch.allclose(sharp[2], moved[2], atol=1e-6)
    assert not torch.allclose(sharp[:2], moved[:2], atol=1e-6)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The starter with a ControlNet of its shape."""
    running = Engine(starter_store(tmp_path_factory.mktemp("colours")), default_checkpoint=STARTER.name)
    running.start()
    yield running
    running.stop()


def draw(engine: Engine, *units: ControlUnit, **fields: object) -> np.ndarray:
    (drawn,) = engine.submit("ada", replace(ASKED, controls=units, **fields)).result(WAIT)  # type: ignore[arg-type]
    return np.asarray(drawn.image, int)


def far(one: np.ndarray, other: np.ndarray) -> float:
    """How far the colours of large parts are from each other, of 255."""
    small = [np.asarray(Image.fromarray(each.astype(np.uint8)).resize((4, 4), Image.Resampling.BOX), int)
             for each in (one, other)]  # fmt: skip
    return float(np.abs(small[0] - small[1]).mean())


@pytest.mark.parametrize("sampler", ["Euler", "DDIM", "LCM"])
def test_what_is_drawn_has_the_colours(engine: Engine, sampler: str) -> None:
    """For samplers that ask for latents and for those that ask for noise."""
    source = np.asarray(FADE, int)
    without = draw(engine, replace(UNIT, module="none"), sampler=sampler)
    kept = draw(engine, UNIT, sampler=sampler)
    assert far(kept, source) < far(without, source) * 0.6
    assert float(np.abs(kept - source).mean()) > 4


def test_in_company_ranges_and_the_second_pass(engine: Engine) -> None:
    """Each picture has its own colours; out of its steps none are kept; hires fix keeps them at its size."""
    other = replace(UNIT, image=encode(FADE.rotate(90)), module="tile_colorfix+sharp")
    asked = [(UNIT,), (other,), (replace(UNIT, module="none"),), ()]
    alone = [draw(engine, *units) for units in asked]
    jobs = [
        engine.submit(f"person {number}", replace(ASKED, controls=units))
        for number, units in enumerate(asked)
    ]
    for job, before in zip(jobs, alone, strict=True):
        assert int(np.abs(np.asarray(job.result(WAIT)[0].image, int) - before).max()) <= 2
    never = draw(engine, replace(UNIT, weight=0))
    assert int(np.abs(never - alone[3]).max()) <= 1
    hires = HiresFix(scale=1.5, steps=3, denoising_strength=0.9)
    source = np.asarray(FADE.resize((192, 192)), int)
    large, plain = draw(engine, UNIT, hires=hires), draw(engine, hires=hires)
    assert far(large, source) < far(plain, source) * 0.6
