"""A fault of ours that one job meets, wherever it is met, ends that job and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from easel.models import ModelError
from easel.studio.engine import Engine, EngineError, TextToImage
from easel.studio.engine.checkpoint_at_hand import CheckpointAtHand
from easel.studio.engine.job_progress import JobProgress
from easel.studio.engine.loop import Loop
from easel.studio.engine.picture import Picture

WAIT = 60
FINE = TextToImage(prompt="a red circle on blue", width=64, height=64, steps=4, seed=7, sampler="Euler")
# The seed of whoever meets the fault.
MET = 666


def broken(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, of: Callable[..., Any]) -> None:
    """`owner.name` divides by zero where `of(self, …)` is a job of that seed, and does its work elsewhere."""
    real = getattr(owner, name)

    def faulty(self: Any, *given: Any, **more: Any) -> Any:
        if of(self, *given).request.seed == MET:
            raise ZeroDivisionError(name)
        return real(self, *given, **more)

    monkeypatch.setattr(owner, name, faulty)


@pytest.mark.parametrize(
    ("owner", "name", "of"),
    [
        (JobProgress, "__init__", lambda _, job, pace: job),
        (JobProgress, "begin", lambda progress: progress.job),
        (JobProgress, "_fraction", lambda progress: progress.job),
        (JobProgress, "keep", lambda progress, picture: picture.job),
        (JobProgress, "close", lambda progress, *_: progress.job),
        (Picture, "tell_reached", lambda picture: picture.job),
        (Loop, "begin", lambda _, picture: picture.job),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_others_are_drawn(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, of: Callable[..., Any]
) -> None:
    """Whoever is drawn at the same time, and whoever comes after; the one is told what it was."""
    before = engine.submit("ada", replace(FINE, steps=12))
    broken(monkeypatch, owner, name, of)
    met = engine.submit("bob", replace(FINE, seed=MET))
    with pytest.raises(EngineError, match="ZeroDivisionError"):
        met.result(WAIT)
    assert len(before.result(WAIT)) == 1
    assert len(engine.submit("cleo", FINE).result(WAIT)) == 1


def test_a_checkpoint_that_breaks_the_loader(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """No error that was thought of, as for a file that cannot be read: who asked for it is told, the one
    before serves on."""
    real = CheckpointAtHand.switch

    def faulty(self: CheckpointAtHand, file: Any, report: Any = None) -> None:
        if file.name.startswith("second"):
            raise KeyError("model.diffusion_model.input_blocks.0.0.weight")
        real(self, file, report)

    monkeypatch.setattr(CheckpointAtHand, "switch", faulty)
    with pytest.raises((EngineError, ModelError), match="KeyError"):
        engine.submit("bob", replace(FINE, checkpoint="second.safetensors")).result(WAIT)
    assert len(engine.submit("cleo", FINE).result(WAIT)) == 1


def test_a_fault_of_nobody(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be laid at one's door ends those that are there, and the next one is drawn."""
    faults = [ZeroDivisionError("what comes next")]

    def faulty(self: Any) -> None:
        if faults:
            raise faults.pop()

    monkeypatch.setattr("easel.studio.engine.worker.Worker._look_ahead", faulty)
    with pytest.raises(EngineError, match="what comes next"):
        engine.submit("bob", FINE).result(WAIT)
    assert len(engine.submit("cleo", FINE).result(WAIT)) == 1
