"""`exact`: the same bits alone and in any company, on one kind of device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from easel.models import Store
from easel.studio.engine import Engine, HiresFix, TextToImage
from tests.studio.engine.conftest import STARTER
from tests.studio.engine.test_engine import SMALL, WAIT, draw, pixels

# Calls of the same shape as those of the pictures that must not change, which would share theirs.
NEIGHBOURS = (
    replace(SMALL, prompt="two stars", cfg_scale=2.0),
    replace(SMALL, prompt="a [red:green:0.5] circle", sampler="Heun"),
    replace(SMALL, prompt="a blue square on a red background", steps=9, exact=True),
    replace(SMALL, batch_size=3, seed=40),
    replace(SMALL, width=96),
)
EXACT = {
    "plain": replace(SMALL, exact=True),
    "ancestral": replace(SMALL, sampler="Euler a", steps=6, exact=True),
    "emphasis": replace(SMALL, prompt="a (red:1.3) circle on a blue background", exact=True),
    "hires": replace(SMALL, hires=HiresFix(scale=1.5, denoising_strength=0.6), exact=True),
}


def together(engine: Engine, request: TextToImage, company: Sequence[TextToImage]) -> np.ndarray:
    """The picture of `request`, drawn while the others are."""
    before = [engine.submit(f"before {n}", one) for n, one in enumerate(company[::2])]
    job = engine.submit("ada", request)
    after = [engine.submit(f"after {n}", one) for n, one in enumerate(company[1::2])]
    (drawn,) = job.result(WAIT)
    for one in (*before, *after):
        one.result(WAIT)
    return pixels(drawn)


@pytest.fixture(scope="module")
def alone(engine: Engine) -> dict[str, np.ndarray]:
    """Each of the exact pictures, drawn while nobody else does."""
    return {name: pixels(draw(engine, request)[0]) for name, request in EXACT.items()}


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(EXACT)), company=st.lists(st.sampled_from(NEIGHBOURS), min_size=2, max_size=6)
)
def test_the_same_bits_in_any_company(
    engine: Engine, alone: dict[str, np.ndarray], name: str, company: list[TextToImage]
) -> None:
    """Whoever draws beside it, before it and after it, no bit of an exact picture changes."""
    assert np.array_equal(together(engine, EXACT[name], company), alone[name])


def test_an_endpoint_may_draw_nothing_else(store: Store) -> None:
    """With `exact` of the engine (`EASEL_EXACT=1`) every request is, whatever it says."""
    engine = Engine(store, default_checkpoint=STARTER.name, exact=True)
    engine.start()
    try:
        job = engine.submit("ada", SMALL)
        assert job.request.exact
        job.result(WAIT)
    finally:
        engine.stop()
