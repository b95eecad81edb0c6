"""The engine with recorded calls: people with and without networks, exact pictures, a cache, in one crowd."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from easel.models import Store
from easel.studio.engine import Engine, TextToImage
from tests.studio import networks
from tests.studio.engine.conftest import STARTER
from tests.studio.engine.recorded.recorder_here import RecorderHere, record_here

SMALL = TextToImage(prompt="a red cup", width=64, height=64, steps=6, seed=7)
WAIT = 600


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Engine, Engine]]:
    """One that records on a CPU and one that does not, with a LoRA."""
    record_here(monkeypatch)
    root = tmp_path / "models"
    (root / "Stable-diffusion").mkdir(parents=True)
    (root / "Stable-diffusion" / STARTER.name).symlink_to(STARTER)
    networks.write(root / "Lora" / "one.safetensors", networks.kohya(networks.pairs(1)))
    store = Store(root, hashing=False)
    recording, plain = (Engine(store, default_checkpoint=STARTER.name, records=one) for one in (True, False))
    recording.start(), plain.start()
    yield recording, plain
    recording.stop(), plain.stop()


def furthest(ours: list[Image.Image], theirs: list[Image.Image]) -> int:
    """The largest difference of colours."""
    pairs = zip(ours, theirs, strict=True)
    return max(int(np.abs(np.asarray(a, dtype=int) - np.asarray(b, dtype=int)).max()) for a, b in pairs)


def drawn(engine: Engine, *requests: TextToImage) -> list[list[Image.Image]]:
    """Theirs, each of somebody else's, at once."""
    jobs = [engine.submit(f"person {number}", one) for number, one in enumerate(requests)]
    return [[one.image for one in job.result(WAIT)] for job in jobs]


def test_a_crowd_draws_what_it_draws_without(engines: tuple[Engine, Engine]) -> None:
    """Three with plain pictures, beside them one exact, one with edges that meet, one with a cache and one
    with a LoRA: within 2 of 255."""
    recording, plain = engines
    crowd = [
        SMALL, replace(SMALL, seed=8), replace(SMALL, seed=9, cfg_scale=1.0), replace(SMALL, exact=True),
        replace(SMALL, tiling=True), replace(SMALL, cache_every=3),
        replace(SMALL, prompt="a red cup <lora:one:1>"),
    ]  # fmt: skip
    theirs = [drawn(plain, one)[0] for one in crowd]
    assert furthest(theirs[0], theirs[-1]) > 2
    for _ in range(2):
        ours = drawn(recording, *crowd)
        assert [furthest(a, b) <= 2 for a, b in zip(ours, theirs, strict=True)] == [True] * len(crowd)
        assert furthest(ours[3], theirs[3]) == 0
    assert RecorderHere.made[-1].played > 0
    assert recording.status().unrecorded == ""


def test_on_a_cpu_the_status_says_that_there_are_none(store: Store) -> None:
    """And draws."""
    engine = Engine(store, default_checkpoint=STARTER.name, records=True)
    engine.start()
    try:
        assert drawn(engine, replace(SMALL, steps=1))
        assert "for an NVIDIA GPU" in engine.status().unrecorded
    finally:
        engine.stop()
