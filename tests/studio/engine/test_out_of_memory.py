"""Out of memory costs one job. The error itself is put in where the device is called; all else is real."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from easel.models import Store
from easel.studio.engine import Engine, OutOfMemory, TextToImage, shared_call
from easel.studio.engine.calls.device_calls import BackboneCall
from easel.studio.engine.calls.vae_runs import LatentPreviews
from easel.studio.engine.latents import latent_spaces
from easel.studio.engine.picture import Picture
from easel.studio.engine.widths.batch_width import BatchWidth

WAIT = 120
SMALL = TextToImage(prompt="a red circle", width=128, height=128, steps=6, seed=3, sampler="Euler")
ERRORS: dict[str, Callable[[], Exception]] = {
    "cuda": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "cpu": lambda: RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried …"),
    "numpy": lambda: MemoryError("Unable to allocate 2.00 GiB for an array"),
}


@pytest.fixture
def engine(store: Store) -> Iterator[Engine]:
    """One of its own: what it learns of its device is wrong."""
    engine = Engine(store, default_checkpoint="easel-starter")
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture(
    params=[
        pytest.param(one, id=name, marks=[] if name == "cuda" else [pytest.mark.slow])
        for name, one in ERRORS.items()
    ]
)
def error(request: pytest.FixtureRequest) -> Callable[[], Exception]:
    """Each of them; for every day the one, as `test_one_job_ends…` has them all."""
    made: Callable[[], Exception] = request.param
    return made


def test_a_call_is_made_again_by_half(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception]
) -> None:
    """Down to what fits; no call behind is wider; the pictures are those of a device with room."""
    plain = engine.submit("ada", replace(SMALL, batch_size=8)).result(WAIT)
    real, widths = shared_call.call_unet, []

    def small_device(unet: object, calls: list[BackboneCall], *more: Any) -> list[torch.Tensor]:
        widths.append(len(calls))
        if len(calls) > 2:
            raise error()
        return real(unet, calls, *more)

    monkeypatch.setattr(shared_call, "call_unet", small_device)
    monkeypatch.setattr(BatchWidth, "limit", lambda self, kind: self._ceiling.get(kind, 8))
    again = engine.submit("ada", replace(SMALL, batch_size=8)).result(WAIT)
    # all at once, not fitting, then half
    assert sorted({one for one in widths if one > 2}, reverse=True) == [one for one in widths if one > 2]
    first = next(at for at, one in enumerate(widths) if one == 2)
    assert max(widths[first:]) == 2
    for ours, theirs in zip(again, plain, strict=True):
        difference = torch.tensor(list(ours.image.tobytes())) - torch.tensor(list(theirs.image.tobytes()))
        assert float(difference.float().abs().mean()) < 1


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_one_job_ends_and_nothing_of_its_call_stays(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception]
) -> None:
    """A picture that does not fit alone is told what to do; neighbours are drawn; the error, which is kept,
    holds no tensor of the call."""
    real, alive = shared_call.call_unet, []

    def small_device(unet: object, calls: list[BackboneCall], *more: Any) -> list[torch.Tensor]:
        activations = torch.zeros(1000)
        alive.append(weakref.ref(activations))
        if calls[0].latents.shape[-1] > 16:
            raise error()
        return real(unet, calls, *more)

    monkeypatch.setattr(shared_call, "call_unet", small_device)
    small = engine.submit("ada", replace(SMALL, batch_size=2, steps=10))
    large = engine.submit("bob", replace(SMALL, width=192, height=192))
    with pytest.raises(OutOfMemory, match=r"no memory for a picture of 192x192; draw it smaller") as told:
        large.result(WAIT)
    assert len(small.result(WAIT)) == 2
    gc.collect()
    assert told.value.__cause__ is None
    assert not [one for one in alive if one() is not None]


def test_what_fails_between_calls_costs_its_own_job(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception]
) -> None:
    """The sampler's arithmetic of one picture is no business of the others in its call."""
    real = Picture.answer

    def answer(picture: Picture, found: Any) -> None:
        if picture.owner == "bob" and picture.course.position == 2:
            raise error()
        real(picture, found)

    monkeypatch.setattr(Picture, "answer", answer)
    jobs = [engine.submit(owner, replace(SMALL, batch_size=2)) for owner in ("ada", "bob", "eve")]
    with pytest.raises(OutOfMemory):
        jobs[1].result(WAIT)
    assert [len(job.result(WAIT)) for job in (jobs[0], jobs[2])] == [2, 2]


def test_the_vae_goes_one_by_one_and_by_tiles(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception]
) -> None:
    """Pictures that do not fit together go alone, and one that does not fit goes by tiles; where the smallest
    do not fit, its job ends and no other."""
    real, asked = latent_spaces.decoding, []

    def small_device(vae: Any, latents: torch.Tensor, downscale: int, *, side: int | None) -> Any:
        asked.append((len(latents), side))
        if len(latents) > 1 or (latents.shape[-1] > 40 and side != 256):
            raise error()
        return (yield from real(vae, latents, downscale, side=side))

    monkeypatch.setattr(latent_spaces, "decoding", small_device)
    assert len(engine.submit("ada", replace(SMALL, batch_size=2)).result(WAIT)) == 2
    assert (1, None) in asked
    asked.clear()
    large = engine.submit("bob", replace(SMALL, width=512, height=512, steps=1))
    assert large.result(WAIT)[0].image.size == (512, 512)
    assert asked[-1][1] == 256

    def no_room(vae: Any, latents: torch.Tensor, downscale: int, *, side: int | None) -> Any:
        if latents.shape[-1] > 40:
            raise error()
        return (yield from real(vae, latents, downscale, side=side))

    monkeypatch.setattr(latent_spaces, "decoding", no_room)
    beside = engine.submit("ada", replace(SMALL, steps=20))
    with pytest.raises(OutOfMemory, match="512x512"):
        engine.submit("bob", replace(SMALL, width=512, height=512, steps=1)).result(WAIT)
    assert beside.result(WAIT)


def test_a_look_that_does_not_fit_is_no_look(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preview is worth nobody's picture."""

    looks = []

    def no_room(*_: object) -> None:
        looks.append(1)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(LatentPreviews, "draw", no_room)
    job = engine.submit("ada", replace(SMALL, steps=30))
    assert list(job.watch(preview=True, timeout=WAIT))
    assert looks
    assert job.result(WAIT)
