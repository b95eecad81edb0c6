"""Who comes new waits for one piece of work: counted in calls of the real engine, not in seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from easel.studio.engine import Engine, InvalidRequest, Job, JobState, StepTooLong, TextToImage
from easel.studio.engine import loop as loop_module
from easel.studio.engine.loop import Loop
from easel.studio.engine.picture import Picture
from easel.studio.engine.size_check import SizeCheck

SMALL = TextToImage(prompt="a red circle on blue", width=64, height=64, steps=3, seed=7, sampler="Euler")
HEAVY = replace(SMALL, width=320, height=320, steps=40, batch_size=8)
WAIT = 180


class Calls:
    """What the device did, in order: ("begin" | "step" | "decode", owners)."""

    def __init__(self) -> None:
        self.made: list[tuple[str, set[str]]] = []
        self.then: Callable[[str], None] = lambda _what: None

    def note(self, what: str, pictures: list[Picture]) -> None:
        self.made.append((what, {picture.owner for picture in pictures}))
        self.then(what)

    def after_beginning(self, owner: str) -> list[tuple[str, set[str]]]:
        """What was done once the owner's first picture had begun."""
        began = self.made.index(("begin", {owner}))
        return [(what, whose) for what, whose in self.made[began + 1 :] if what != "begin"]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    begin, step, decode = Loop.begin, Loop._step, Loop._run_vae

    def noted_begin(loop: Loop, picture: Picture) -> None:
        begin(loop, picture)
        calls.note("begin", [picture])

    def noted_step(loop: Loop, chosen: list[Picture]) -> list[Picture]:
        calls.note("step", chosen)
        return step(loop, chosen)

    def noted_run_vae(loop: Loop, chosen: list[Picture]) -> object:
        calls.note("decode", chosen)
        return decode(loop, chosen)

    monkeypatch.setattr(Loop, "begin", noted_begin)
    monkeypatch.setattr(Loop, "_step", noted_step)
    monkeypatch.setattr(Loop, "_run_vae", noted_run_vae)
    return calls


def end(job: Job) -> None:
    job.cancel()
    job.result(WAIT)


def test_the_first_step_comes_next(engine: Engine, calls: Calls) -> None:
    """While one person draws eight large pictures, another's first call is the very next one, and all of the
    small picture comes before the heavy ones' second turn."""
    heavy = engine.submit("heavy", HEAVY)
    while heavy.progress().step < 2:
        time.sleep(0.01)
    engine.submit("newcomer", SMALL).result(WAIT)
    after = calls.after_beginning("newcomer")
    assert "newcomer" in after[0][1]
    heavy_between = [whose for _, whose in after[: 1 + SMALL.steps] if "newcomer" not in whose]
    assert len(heavy_between) <= 1
    end(heavy)


def test_decoding_a_large_picture_lets_others_in(
    engine: Engine, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newcomer who comes while a large picture is being decoded steps after one piece of it; the pixels of
    both are the same as alone."""
    monkeypatch.setattr(loop_module, "STRETCH_SECONDS", 0.0)
    large = replace(SMALL, width=512, height=512, steps=1)
    (alone,) = engine.submit("heavy", large).result(WAIT)
    calls.made.clear()
    jobs: list[Job] = []

    def come(what: str) -> None:
        if what == "decode" and not jobs:
            jobs.append(engine.submit("newcomer", SMALL))

    calls.then = come
    (together,) = engine.submit("heavy", large).result(WAIT)
    jobs[0].result(WAIT)
    after = calls.after_beginning("newcomer")
    assert "newcomer" in after[0][1]
    assert ("decode", {"heavy"}) in after
    assert calls.made.count(("decode", {"heavy"})) > 10
    difference = np.asarray(alone.image).astype(int) - np.asarray(together.image)
    assert int(np.abs(difference).max()) <= 2


def test_what_is_interrupted_is_decoded_in_its_turn(
    engine: Engine, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupting large pictures keeps what is there, and keeps nobody else from drawing meanwhile."""
    monkeypatch.setattr(loop_module, "STRETCH_SECONDS", 0.0)
    heavy = engine.submit("heavy", replace(HEAVY, batch_size=2))
    while heavy.progress().step < 2:
        time.sleep(0.01)
    jobs: list[Job] = []

    def come(what: str) -> None:
        if what == "decode" and not jobs:
            jobs.append(engine.submit("newcomer", SMALL))

    calls.then = come
    heavy.cancel(keep_partial=True)
    drawn = heavy.result(WAIT)
    assert drawn
    assert all(one.partial and one.image.size == (320, 320) for one in drawn)
    assert heavy.state is JobState.CANCELLED
    jobs[0].result(WAIT)
    assert "newcomer" in calls.after_beginning("newcomer")[0][1]


def test_who_is_gone_costs_no_call_more(engine: Engine, calls: Calls) -> None:
    """Cancelled, running and queued alike: not one more call for any of the pictures."""
    heavy = engine.submit("heavy", replace(HEAVY, batch_count=20))
    while heavy.progress().step < 1:
        time.sleep(0.01)
    heavy.cancel()
    assert heavy.result(WAIT) == []
    count = len(calls.made)
    engine.submit("other", SMALL).result(WAIT)
    assert not [whose for _, whose in calls.made[count:] if "heavy" in whose]


def test_a_step_too_long_is_refused(engine: Engine, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known of the device yet: it is measured at the checkpoint's own size, then the large picture
    is refused in words without one call of its size; the next one is refused at once. The own size draws."""
    monkeypatch.setattr(engine._step_times, "limit", 1e-6)
    engine._step_times._known.clear()
    large = replace(SMALL, width=1024, height=1024)
    words = r"one step of a picture of 1024x1024 takes .* s or more .* Draw up to 128x128"
    with pytest.raises(StepTooLong, match=words):
        engine.submit("heavy", large).result(WAIT)
    assert calls.made == []
    with pytest.raises(StepTooLong, match=words):
        engine.submit("heavy", large)
    own = engine.submit("heavy", replace(SMALL, width=128, height=128))
    assert own.result(WAIT)[0].image.size == (128, 128)
    engine._step_times._known.clear()


def test_a_step_that_turns_out_too_long_ends_its_own_job(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the estimate was too good, the second call tells; whoever draws beside it goes on."""
    monkeypatch.setattr(engine._step_times, "limit", 1e-6)
    monkeypatch.setattr(SizeCheck, "_probe", lambda *_: None)
    engine._step_times._known.clear()
    beside = engine.submit("other", replace(SMALL, steps=30))
    with pytest.raises(StepTooLong):
        engine.submit("heavy", replace(SMALL, width=256, height=256)).result(WAIT)
    assert len(beside.result(WAIT)) == 1
    engine._step_times._known.clear()


def test_a_prompt_of_too_many_tokens_is_refused(engine: Engine) -> None:
    """Every chunk of 75 tokens makes each call longer: 20,000 letters may be 20,000 tokens."""
    for field, words in (("prompt", "q1 " * 6000), ("negative_prompt", "BREAK " * 50)):
        with pytest.raises(InvalidRequest, match=r"chunks of 75 tokens; allowed: up to 40") as caught:
            engine.submit("heavy", replace(SMALL, **{field: words})).result(WAIT)
        assert caught.value.field == field


def test_beginning_does_not_hold_up_who_has_begun(
    engine: Engine, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts are encoded between the calls of others, not all of them first."""
    begin = Loop.begin

    def slow(loop: Loop, picture: Picture) -> None:
        time.sleep(0.15)
        begin(loop, picture)

    monkeypatch.setattr(Loop, "begin", slow)
    jobs = [engine.submit(f"owner {number}", SMALL) for number in range(4)]
    for job in jobs:
        job.result(WAIT)
    assert [what for what, _ in calls.made[:4]] != ["begin"] * 4
