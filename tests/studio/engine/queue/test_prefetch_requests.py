"""A checkpoint that somebody chose is loaded ahead: the last choice of each person, and no other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from easel.models import Kind, ModelFile, Store
from easel.studio.engine import Engine, TextToImage
from easel.studio.engine.loading import checkpoint_cache as cache_module
from easel.studio.engine.queue import prefetch_requests as requests_module
from easel.studio.engine.queue.prefetch_requests import PrefetchRequests
from tests.gateway.conftest import until
from tests.studio.engine.conftest import STARTER

FILES = [
    ModelFile(Path(f"/m/{name}.safetensors"), f"{name}.safetensors", Kind.CHECKPOINT, 1, 1.0)
    for name in "abc"
]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, to be set."""
    clock = [1000.0]
    monkeypatch.setattr(requests_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    return clock


def test_a_choice_counts_after_a_moment(now: list[float]) -> None:
    """Not at once, then until it is granted, then not again."""
    requests = PrefetchRequests()
    assert (requests.oldest(), requests.due()) == (None, None)
    requests.add("ada", FILES[0])
    assert requests.oldest() is None
    due = requests.due()
    assert due is not None
    now[0] += max(due, requests_module.SETTLED_AFTER)
    assert requests.oldest() == requests.oldest() == FILES[0]
    requests.done(FILES[0])
    assert (requests.oldest(), requests.due()) == (None, None)


def test_who_walks_through_the_list_means_the_last(now: list[float]) -> None:
    """Ten choices in a second are one request."""
    requests = PrefetchRequests()
    for file in (FILES[0], FILES[1], FILES[2]):
        requests.add("ada", file)
        now[0] += 0.1
    now[0] += requests_module.SETTLED_AFTER
    assert requests.oldest() == FILES[2]
    requests.done(FILES[2])
    assert requests.oldest() is None


def test_nobody_takes_anothers_wish(now: list[float]) -> None:
    """Each person's last choice stands, the older one first; one that two share is granted to both."""
    requests = PrefetchRequests()
    requests.add("ada", FILES[0])
    now[0] += 0.1
    requests.add("bob", FILES[1])
    requests.add("eve", FILES[0])
    now[0] += requests_module.SETTLED_AFTER
    assert requests.oldest() == FILES[0]
    requests.done(FILES[0])
    assert requests.oldest() == FILES[1]
    requests.done(FILES[1])
    assert requests.due() is None


def test_wishes_do_not_pile_up(now: list[float]) -> None:
    """Old ones are forgotten, and there are only so many."""
    requests = PrefetchRequests()
    requests.add("ada", FILES[0])
    now[0] += 10_000
    assert requests.oldest() is None
    assert requests.due() is None
    for number in range(1000):
        requests.add(f"visitor {number}", FILES[number % 3])
    now[0] += requests_module.SETTLED_AFTER
    assert len(requests._made) <= 20


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Three checkpoints, on a machine with memory to spare, whatever this one has."""
    folder = tmp_path / "Stable-diffusion"
    folder.mkdir()
    for name in ("one", "two", "three"):
        shutil.copy(STARTER, folder / f"{name}.safetensors")
    monkeypatch.setattr(cache_module, "available", lambda device: 1 << 40)
    monkeypatch.setattr(requests_module, "SETTLED_AFTER", 0.2)
    engine = Engine(Store(tmp_path, hashing=False), device="cpu", default_checkpoint="one")
    engine.start()
    until(lambda: engine.status().phase in ("ready", "failed"), 60)
    assert engine.status().phase == "ready", engine.status()
    yield engine
    engine.stop()


def test_the_next_one_is_there_when_it_is_drawn_with(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two people choose while nobody draws: both are loaded ahead, what serves stays, none is read twice."""
    loaded: list[str] = []
    real = cache_module.load_checkpoint

    def noted(file: ModelFile, **how: object) -> object:
        loaded.append(file.stem)
        return real(file, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(cache_module, "load_checkpoint", noted)
    find = engine.store.find_checkpoint
    engine.prefetch("ada", find("three"))
    engine.prefetch("ada", find("two"))
    engine.prefetch("bob", find("three"))
    engine.prefetch("eve", find("one"))
    until(lambda: sorted(loaded) == ["three", "two"] and engine._queue.prefetch_requests.due() is None, 60)
    assert (engine.status().phase, engine.status().checkpoint) == ("ready", find("one"))
    monkeypatch.setattr(
        "easel.studio.engine.checkpoint_at_hand.load_checkpoint", lambda *_, **__: pytest.fail("read again")
    )
    for name in ("two", "three"):
        asked = TextToImage(prompt="a red circle", checkpoint=name, steps=1, width=64, height=64)
        (drawn,) = engine.submit("ada", asked).result(timeout=120)
        assert drawn.checkpoint.stem == name
    assert sorted(loaded) == ["three", "two"]


def test_a_choice_is_no_work(engine: Engine) -> None:
    """It keeps no endpoint awake: nothing is drawn."""
    before = engine.status().idle_seconds
    engine.prefetch("ada", engine.store.find_checkpoint("two"))
    until(lambda: engine._queue.prefetch_requests.due() is None, 60)
    assert engine.status().idle_seconds >= before
    assert (engine.status().running, engine.status().queued) == (0, 0)
