"""What the engine promises: the same picture in any company, nobody behind anybody, errors that end one job
only."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from easel.models import ModelError, Store, UnknownModel
from easel.studio.engine import (
    SAMPLERS,
    Drawn,
    Engine,
    EngineError,
    InvalidRequest,
    JobState,
    OutOfMemory,
    QueueFull,
    SamplerSettings,
    Stopped,
    TextToImage,
    shared_call,
)
from easel.studio.engine import worker as worker_module
from easel.studio.engine.calls.device_calls import BackboneCall
from easel.studio.engine.queue import job_queue as job_queue_module

SMALL = TextToImage(prompt="a red circle on blue", width=64, height=64, steps=4, seed=7, sampler="Euler")
WAIT = 120
# A wider call sums in another order, which moves a pixel by a rounding step now and then.
TOLERANCE = 2


def draw(engine: Engine, request: TextToImage, owner: str = "ada") -> list[Drawn]:
    """Submit and wait."""
    return engine.submit(owner, request).result(WAIT)


def pixels(drawn: Drawn) -> np.ndarray:
    """A picture's pixels, signed so that they subtract."""
    return np.asarray(drawn.image).astype(int)


def differs(one: Drawn, other: Drawn) -> int:
    """The largest difference of any pixel."""
    return int(np.abs(pixels(one) - pixels(other)).max())


def test_a_picture(engine: Engine) -> None:
    """A request becomes a picture of its size, with the seed it was drawn from."""
    (drawn,) = draw(engine, SMALL)
    assert drawn.image.size == (64, 64)
    assert drawn.image.mode == "RGB"
    assert drawn.seed == 7
    assert not drawn.partial
    assert drawn.checkpoint.path.name == "easel-starter.safetensors"


SLOWEST = "DPM adaptive"


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    "sampler",
    [pytest.param(s.name, marks=[pytest.mark.slow] if s.name == SLOWEST else []) for s in SAMPLERS],
)
def test_the_same_alone_and_in_company(engine: Engine, sampler: str) -> None:
    """A picture depends on its own request only, whatever else is in the batch, under every sampler."""
    request = replace(SMALL, sampler=sampler)
    (alone,) = draw(engine, request)
    company = [
        engine.submit(
            f"owner {number}",
            replace(SMALL, prompt="two stars", seed=number, steps=3 + number, cfg_scale=2.0),
        )
        for number in range(5)
    ]
    (together,) = draw(engine, request)
    for job in company:
        job.result(WAIT)
    # how long a step of DPM adaptive is would follow the last bits too, so it goes alone: see test_exact.py
    assert differs(alone, together) <= (0 if sampler == "DPM adaptive" else TOLERANCE)


def test_company_of_other_sizes_and_guidance(engine: Engine) -> None:
    """Pictures that cannot share a call with one another do not disturb each other either."""
    requests = [
        SMALL,
        replace(SMALL, width=96, height=64),
        replace(SMALL, cfg_scale=1.0),
        replace(SMALL, prompt="a star, " * 60),
        replace(SMALL, clip_skip=2),
    ]
    alone = [draw(engine, request)[0] for request in requests]
    jobs = [engine.submit(f"owner {number}", request) for number, request in enumerate(requests)]
    for before, job in zip(alone, jobs, strict=True):
        assert differs(before, job.result(WAIT)[0]) <= TOLERANCE


def test_batches_are_single_pictures(engine: Engine) -> None:
    """Picture `i` of a request is the picture of `seed + i`, as in A1111; in order, over batch size and
    count."""
    drawn = draw(engine, replace(SMALL, batch_size=2, batch_count=2))
    assert [one.seed for one in drawn] == [7, 8, 9, 10]
    (third,) = draw(engine, replace(SMALL, seed=9))
    assert differs(drawn[2], third) <= TOLERANCE


def test_a_subseed_varies_one_seed(engine: Engine) -> None:
    """With a variation strength all pictures keep the seed; strength 1 is the subseed's own picture."""
    varied = draw(engine, replace(SMALL, subseed=100, subseed_strength=0.3, batch_size=2))
    assert [(one.seed, one.subseed) for one in varied] == [(7, 100), (7, 101)]
    assert differs(*varied) > 0
    (full,) = draw(engine, replace(SMALL, subseed=100, subseed_strength=1.0))
    (own,) = draw(engine, replace(SMALL, seed=100))
    assert differs(full, own) <= TOLERANCE


def test_a_random_seed_is_told(engine: Engine) -> None:
    """Seed -1 draws one, and drawing that one again gives the same picture."""
    (drawn,) = draw(engine, replace(SMALL, seed=-1))
    assert drawn.seed >= 0
    (again,) = draw(engine, replace(SMALL, seed=drawn.seed))
    assert differs(drawn, again) <= TOLERANCE


def test_sizes_round_down_to_eight(engine: Engine) -> None:
    """A1111 accepts 70 pixels and draws 64; so does Easel."""
    (drawn,) = draw(engine, replace(SMALL, width=70, height=79))
    assert drawn.image.size == (64, 72)


def test_nobody_waits_behind_a_long_job(engine: Engine) -> None:
    """A short job that comes later is done long before a job of many steps and pictures."""
    crowd = engine.submit("crowd", replace(SMALL, steps=150, batch_size=16))
    while crowd.progress().step < 2:
        time.sleep(0.01)
    draw(engine, SMALL, owner="single")
    assert crowd.progress().finished == 0
    assert crowd.state is JobState.RUNNING
    crowd.cancel()
    assert crowd.result(WAIT) == []


def test_cancel_is_immediate_and_ones_own(engine: Engine) -> None:
    """A cancelled job ends within a step or two and gives what was finished; others go on."""
    long = engine.submit("ada", replace(SMALL, steps=150, batch_size=4))
    other = engine.submit("bob", SMALL)
    while long.progress().step < 3:
        time.sleep(0.01)
    long.cancel()
    assert long.result(WAIT) == []
    assert long.progress().step < 150
    assert long.state is JobState.CANCELLED
    assert len(other.result(WAIT)) == 1


def test_interrupt_keeps_what_is_there(engine: Engine) -> None:
    """A1111's interrupt: the pictures under way come back as they are, marked partial."""
    job = engine.submit("ada", replace(SMALL, steps=150))
    while job.progress().step < 3:
        time.sleep(0.01)
    job.cancel(keep_partial=True)
    (drawn,) = job.result(WAIT)
    assert drawn.partial
    assert drawn.image.size == (64, 64)


def test_a_job_cancelled_in_the_queue_never_draws(engine: Engine) -> None:
    """Cancelling before the first step costs nothing and ends the job."""
    job = engine.submit("ada", replace(SMALL, batch_count=50))
    job.cancel(keep_partial=True)
    assert len(job.result(WAIT)) < 50
    assert job.state in {JobState.CANCELLED, JobState.DONE}


def test_progress_and_previews(engine: Engine) -> None:
    """Progress rises from 0 to 1, names steps, and carries previews of the picture's size once asked for."""
    job = engine.submit("ada", replace(SMALL, steps=40))
    seen = list(job.watch(preview=True, every=0.05, timeout=WAIT))
    fractions = [look.fraction for look in seen]
    assert fractions == sorted(fractions)
    assert seen[-1].fraction == 1.0
    assert seen[-1].state is JobState.DONE
    assert {look.steps for look in seen} == {40}
    previews = [look.preview for look in seen[:-1] if look.preview is not None]
    assert previews
    assert {preview.size for preview in previews} == {(64, 64)}
    assert any(look.eta is not None for look in seen[:-1])


def test_who_waits_is_told_the_place(engine: Engine) -> None:
    """A job behind another checkpoint's work says how many are ahead of it, then draws."""
    busy = engine.submit("ada", replace(SMALL, steps=150, batch_size=2))
    while busy.progress().step < 1:
        time.sleep(0.01)
    waits = engine.submit("bob", replace(SMALL, checkpoint="second"))
    deadline = time.monotonic() + 30
    while waits.progress().ahead == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert waits.progress().ahead == 1
    busy.cancel()
    assert waits.result(WAIT)[0].checkpoint.name == "second.safetensors"


def test_waiting_for_another_checkpoint_is_bounded(engine: Engine) -> None:
    """A stream of pictures for one checkpoint does not keep the other from its turn."""
    stream = engine.submit("ada", replace(SMALL, batch_size=16, batch_count=20))
    while stream.progress().finished < 1:
        time.sleep(0.01)
    engine.submit("bob", replace(SMALL, checkpoint="second")).result(WAIT)
    assert stream.progress().finished < 320
    stream.cancel()
    assert stream.result(WAIT)


@pytest.mark.parametrize(
    "content", [b"", b"<html>not a model</html>", b"\x10\0\0\0\0\0\0\0{"], ids=["empty", "html", "cut"]
)
def test_a_broken_checkpoint_ends_one_job(engine: Engine, store: Store, content: bytes) -> None:
    """A file that cannot be loaded fails the job that asked for it; the checkpoint that served keeps
    serving."""
    draw(engine, SMALL)
    broken = store.root / "Stable-diffusion" / "broken.safetensors"
    broken.write_bytes(content)
    store.refresh()
    try:
        job = engine.submit("ada", replace(SMALL, checkpoint="broken"))
        with pytest.raises(ModelError):
            job.result(WAIT)
        assert job.state is JobState.FAILED
        assert engine.status().phase == "ready"
        serving = engine.status().checkpoint
        assert serving is not None
        assert serving.name == "easel-starter.safetensors"
        assert len(draw(engine, SMALL)) == 1
    finally:
        broken.unlink()
        store.refresh()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("steps", 151),
        ("cfg_scale", float("nan")),
        ("cfg_scale", -101.0),
        ("cfg_scale", 1e9),
        ("seed", 10**400),
        ("steps", float("inf")),
        ("width", 0),
        ("width", 63),
        ("height", 4096),
        ("seed", -2),
        ("seed", 2**63),
        ("subseed_strength", 1.5),
        ("batch_size", 0),
        ("batch_size", 1000),
        ("batch_count", 0),
        ("clip_skip", 0),
        ("sampling", SamplerSettings(eta_ancestral=float("inf"))),
        ("prompt", "x" * 20_001),
    ],
)
def test_what_cannot_be_drawn_is_refused_at_once(engine: Engine, field: str, value: object) -> None:
    """A field out of range raises before anything is queued, names the field and says what is allowed."""
    with pytest.raises(InvalidRequest, match="allowed") as caught:
        engine.submit("ada", replace(SMALL, **{field: value}))
    assert caught.value.field in {field, "n_iter", "eta_ancestral"}
    assert engine.jobs("ada") == []


def test_an_unknown_checkpoint_is_refused_at_once(engine: Engine) -> None:
    """A checkpoint that is not in the store is an error with the name in it, not a picture of another one."""
    with pytest.raises(UnknownModel, match="nowhere"):
        engine.submit("ada", replace(SMALL, checkpoint="nowhere.safetensors"))


def test_long_and_odd_prompts_draw(engine: Engine) -> None:
    """Ten thousand characters, brackets without end, emoji, NUL: all are prompts."""
    for prompt in ("star " * 2000, "(" * 10_000, "🖌️\0\x1b[31m", "(red:1e9) [[blue", "BREAK " * 30):
        assert len(draw(engine, replace(SMALL, prompt=prompt, steps=1))) == 1


def test_the_queue_is_bounded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """One owner cannot pile up work without end; the error says what to do, and others are not affected."""
    monkeypatch.setattr(job_queue_module, "MAX_WAITING", 20)
    first = engine.submit("ada", replace(SMALL, steps=150, batch_size=16))
    with pytest.raises(QueueFull, match="wait for some"):
        engine.submit("ada", replace(SMALL, batch_size=5))
    assert len(draw(engine, SMALL, owner="bob")) == 1
    first.cancel()
    first.result(WAIT)


def test_out_of_memory_draws_narrower_and_ends_one_job_at_most(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call too wide for the device is repeated narrower; a single picture that does not fit fails with
    advice. By an engine of its own: it never forgets what did not fit, and others are to draw in company."""
    real = shared_call.call_unet
    widths: list[int] = []

    def small_device(unet: object, calls: list[BackboneCall], *more: Any) -> list[torch.Tensor]:
        widths.append(len(calls))
        if len(calls) > 1 or calls[0].latents.shape[-1] > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(unet, calls, *more)

    monkeypatch.setattr(shared_call, "call_unet", small_device)
    engine = Engine(store)
    engine.start()
    fits = engine.submit("ada", replace(SMALL, batch_size=8, steps=10))
    large = engine.submit("bob", replace(SMALL, width=128))
    with pytest.raises(OutOfMemory, match="128x64"):
        large.result(WAIT)
    assert len(fits.result(WAIT)) == 8
    engine.stop()


def test_the_end_is_told(store: Store) -> None:
    """Stopping finishes what can be, ends the rest with Stopped and refuses new ones."""
    engine = Engine(store)
    engine.start()
    under_way = engine.submit("ada", replace(SMALL, steps=40))
    while under_way.progress().step < 1:
        time.sleep(0.01)
    beside = [engine.submit(name, replace(SMALL, steps=150, batch_size=8)) for name in ("eve", "kim")]
    while not all(job.progress().step for job in beside):
        time.sleep(0.01)
    queued = engine.submit("bob", replace(SMALL, steps=150, batch_size=16, batch_count=20))
    engine.stop(5)
    # Turns for all would have finished nobody: what has least left comes first.
    assert len(under_way.result(0)) == 1
    with pytest.raises(Stopped, match="send the request again"):
        queued.result(0)
    with pytest.raises(Stopped):
        engine.submit("ada", SMALL)


def test_a_step_that_outlasts_the_end_keeps_nobody_waiting(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose step is longer than the time to finish is told all the same, while the device still works."""
    stuck, release = threading.Event(), threading.Event()

    def endless(*_: object) -> None:
        stuck.set()
        release.wait(30)

    monkeypatch.setattr(shared_call, "call_unet", endless)
    engine = Engine(store)
    engine.start()
    job = engine.submit("ada", SMALL)
    assert stuck.wait(WAIT)
    engine.stop(0.1)
    try:
        with pytest.raises(Stopped):
            job.result(0)
    finally:
        release.set()


def test_a_fault_of_the_loop_leaves_nobody_waiting(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no picture met ends the jobs that are there; where it comes again and again the engine ends, and
    new ones are refused, so that the process is started anew."""
    monkeypatch.setattr(worker_module.Worker, "_tell_the_queue", lambda _: 1 // 0)
    engine = Engine(store)
    engine.start()
    for told in [EngineError] * (worker_module.MOST_FAULTS - 1) + [Stopped]:
        with pytest.raises(told):
            engine.submit("ada", replace(SMALL, steps=150)).result(WAIT)
    with pytest.raises(Stopped):
        engine.submit("ada", SMALL)
    assert engine.status().phase == "failed"


def test_status_counts_and_idles(engine: Engine) -> None:
    """The load report counts pictures under way and waiting, and idle time runs only while there are none."""
    job = engine.submit("ada", replace(SMALL, steps=150, batch_size=16))
    while job.progress().step < 1:
        time.sleep(0.01)
    status = engine.status()
    assert status.running >= 1
    assert status.running + status.queued == 16
    assert status.idle_seconds == 0
    job.cancel()
    job.result(WAIT)
    time.sleep(0.2)
    assert engine.status().running + engine.status().queued == 0
    assert 0 < engine.status().idle_seconds < 30
