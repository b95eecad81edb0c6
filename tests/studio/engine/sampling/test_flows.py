"""Samplers of flows, against diffusers' schedulers and against what is known of noise."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from easel.studio.engine.sampling.ask import Answer
from easel.studio.engine.sampling.denoiser import FlowDenoiser
from easel.studio.engine.sampling.levels import FlowLevels, NoiseLevels
from easel.studio.engine.sampling.plan import SamplingPlan, plan
from easel.studio.engine.sampling.samplers import SAMPLERS, of_flows, resolve
from easel.studio.engine.sampling.schedule_types import SCHEDULE_TYPES
from easel.studio.engine.sampling.settings import SamplerSettings

SHAPE = (1, 4, 8, 8)
SHIFT = 3.0


def even(steps: int) -> list[float]:
    """Evenly spread, with the shift of Stable Diffusion 3, as a publisher might."""
    shares = torch.linspace(1, 1 / steps, steps).double()
    return [*(SHIFT * shares / (1 + (SHIFT - 1) * shares)).tolist(), 0.0]


LEVELS = FlowLevels(SHIFT, even)


def velocity(x: Tensor, share: float) -> Tensor:
    """A model whose answer bends the path: it depends on where it is and on how much noise there is."""
    return torch.tanh(x * 1.3 + share) - 0.4 * x * (1 - share)


def ours(made: SamplingPlan, noise: Tensor, fresh: Any = None, *, of: Any = velocity) -> tuple[Tensor, int]:
    """Finished latents, and the calls that it took."""
    method, denoiser, calls = (
        made.run(made.start(noise), fresh or (lambda: torch.zeros_like(noise))),
        made.denoiser,
        0,
    )
    answer: Answer | None = None
    while True:
        try:
            ask = method.send(answer) if answer is not None else next(method)
        except StopIteration as end:
            return end.value, calls
        calls += 1
        share = denoiser.timestep(ask.level) / 1000
        output = of(denoiser.unet_input(ask), share)
        answer = denoiser.answer(ask, output, output)


def start() -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "judge", "calls"),
    [
        ("Euler", diffusers.FlowMatchEulerDiscreteScheduler, 12),
        ("Heun", diffusers.FlowMatchHeunDiscreteScheduler, 23),
    ],
)
def test_as_diffusers_draws(name: str, judge: Any, calls: int) -> None:
    """The same latents from the same noise, over the same shares."""
    made = plan(*resolve(name), LEVELS, 12, seed=1)
    latents, made_calls = ours(made, start())
    scheduler, judged = judge(shift=1.0), start()
    if judge is diffusers.FlowMatchEulerDiscreteScheduler:
        scheduler.set_timesteps(sigmas=even(12)[:-1])
    else:
        scheduler.set_timesteps(12)
        shares = torch.tensor(even(12))
        scheduler.sigmas = torch.cat([shares[:1], shares[1:-1].repeat_interleave(2), shares[-1:]])
        doubled = shares[:-1] * 1000
        scheduler.timesteps = torch.cat([doubled[:1], doubled[1:].repeat_interleave(2)])
    for index, timestep in enumerate(scheduler.timesteps):
        share = float(timestep) / 1000
        if judge is not diffusers.FlowMatchEulerDiscreteScheduler:
            # it calls the model at the next share of noise for its correction
            share = (
                float(scheduler.sigmas[index + (index % 2)]) if index % 2 else float(scheduler.sigmas[index])
            )
        judged = scheduler.step(velocity(judged, share), timestep, judged, return_dict=False)[0]
    assert made_calls == made.calls == calls
    assert float((latents - judged).abs().max()) < 1e-5


@pytest.mark.parametrize("name", ["Euler", "Heun", "LMS", "DPM2", "DPM++ 2M", "DEIS"])
def test_all_that_follow_the_path_come_to_its_end(name: str) -> None:
    """With many steps each ends where the others do: at the solution of the same equation."""
    judged, _ = ours(plan(*resolve("Heun"), LEVELS, 400, seed=1), start())
    latents, _ = ours(plan(*resolve(name), LEVELS, 400, seed=1), start())
    assert float((latents - judged).abs().max()) < 0.02


SPREAD, WIDE = 0.5, (1, 1, 200, 200)


def mean_picture(x: Tensor, share: float) -> Tensor:
    """E[noise - picture | x], where pictures are normal with a deviation of `SPREAD`."""
    variance = ((1 - share) * SPREAD) ** 2 + share**2
    return x * (share - (1 - share) * SPREAD**2) / variance


def whole_way(x: Tensor, share: float) -> Tensor:
    """Of a consistency model: it answers with the picture where the path ends, and not with their mean."""
    variance = ((1 - share) * SPREAD) ** 2 + share**2
    return (x - x * SPREAD / variance**0.5) / share


@pytest.mark.parametrize(("name", "model", "steps"), [("Euler a", mean_picture, 400), ("LCM", whole_way, 8)])
def test_what_adds_noise_stays_on_the_path(name: str, model: Any, steps: int) -> None:
    """Pictures that are drawn are spread as those that were learned: new noise takes no more room than what
    gave way for it. Added as it is for UNets, they end at twice the spread."""
    generator = torch.Generator().manual_seed(1)
    latents, _ = ours(
        plan(*resolve(name), LEVELS, steps, seed=1),
        torch.randn(WIDE, generator=generator),
        lambda: torch.randn(WIDE, generator=generator),
        of=model,
    )
    assert float(latents.std()) == pytest.approx(SPREAD, abs=0.02)


def test_image_to_image_begins_on_the_line_between_picture_and_noise() -> None:
    """At a strength of 0.4 of ten steps, where the schedule then is: so much noise, and the rest picture."""
    made = plan(*resolve("Euler"), LEVELS, 10, denoising_strength=0.4, seed=1)
    picture, noise = torch.full(SHAPE, 2.0), torch.full(SHAPE, -1.0)
    share = even(10)[10 - 4 - 1]
    assert made.calls == 5
    assert torch.allclose(made.start_from(picture, noise), (1 - share) * picture + share * noise)


@pytest.mark.parametrize("one", SAMPLERS, ids=lambda one: one.name)
def test_every_sampler_has_one_that_flows_are_drawn_with(one: Any) -> None:
    """It is one of the same table, stays the same where it is asked again, and draws."""
    drawn = of_flows(one)
    assert of_flows(drawn) is drawn
    latents, calls = ours(plan(drawn, resolve("Euler")[1], LEVELS, 6, seed=1), start())
    assert calls >= 6
    assert bool(torch.isfinite(latents).all())


@pytest.mark.parametrize("schedule", SCHEDULE_TYPES, ids=lambda one: one.label)
def test_every_schedule_begins_with_noise_alone_and_goes_down(schedule: Any) -> None:
    """The first call sees noise and nothing else, as in training; each later one less of it."""
    if schedule.name in ("align_your_steps", "ddim"):
        pytest.skip("a table of sigmas of Stable Diffusion's, and one that begins a step below the noise")
    shares: list[float] = []

    def seen(x: Tensor, share: float) -> Tensor:
        shares.append(share)
        return x

    ours(plan(resolve("Euler")[0], schedule, LEVELS, 8, seed=1), start(), of=seen)
    assert shares[0] == pytest.approx(1.0, abs=1e-3)
    assert shares == sorted(shares, reverse=True)
    assert len(set(shares)) == 8


def test_simple_is_what_publishers_spread() -> None:
    """Forge's name for it: every n-th level of training from the last, of a thousand; the same to a
    thousandth."""
    simple, automatic = (
        plan(*resolve("Euler", name), LEVELS, 20, seed=1) for name in ("Simple", "Automatic")
    )
    first, second = (ours(one, start())[0] for one in (simple, automatic))
    assert float((first - second).abs().max()) < 1e-3


def test_shares_and_timesteps_are_the_same_way_back() -> None:
    """Timestep n is the time (n + 1) / 1000."""
    timesteps = torch.tensor([0.0, 1.0, 250.5, 998.0, 999.0])
    back = [LEVELS.sigma_to_t(float(share)) for share in LEVELS.t_to_sigma(timesteps)]
    assert back == pytest.approx(timesteps.tolist(), abs=0.01)
    assert LEVELS.sigma_max == 1.0


def test_churn_counts_for_nothing() -> None:
    """It is noise on top, which these models have never seen."""
    churned = plan(*resolve("Euler"), LEVELS, 6, SamplerSettings(s_churn=4.0), seed=1)
    plain = plan(*resolve("Euler"), LEVELS, 6, seed=1)
    fresh = lambda: torch.ones(SHAPE)  # noqa: E731
    assert torch.equal(ours(churned, start(), fresh)[0], ours(plain, start(), fresh)[0])


def test_a_flow_and_noise_do_not_go_on_with_one_another() -> None:
    """A refiner of the other kind would be shown latents that it does not know."""
    unets = NoiseLevels.of_family({})
    with pytest.raises(TypeError, match="flow"):
        FlowDenoiser().on(unets)
    with pytest.raises(TypeError, match="flow"):
        plan(*resolve("Euler"), unets, 4, seed=1).denoiser.on(LEVELS)
