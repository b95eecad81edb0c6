"""Diffusers' schedulers arrive where they should. `sampling/` has the tests of what takes their place."""

from __future__ import annotations

import json

import pytest
import torch

from easel.studio.engine.samplers import (
    SAMPLERS,
    SCHEDULE_TYPES,
    Sampler,
    ScheduleType,
    make_scheduler,
    resolve,
    step_noise,
)
from easel.studio.families import HERE

FAMILIES = ("sd1", "sd2-v", "sdxl", "starter")


def sample(
    config: dict[str, object], sampler: Sampler, schedule: ScheduleType, steps: int, seed: int = 3
) -> torch.Tensor:
    """Run a sampler on the one problem whose answer is known: all the data is a single picture.

    Then the best possible denoiser has a closed form: the noise in `a·x0 + s·noise` is what is left after
    `a·x0`.
    """
    scheduler = make_scheduler(config, sampler, schedule, steps, seed)
    source = torch.Generator().manual_seed(seed)
    latents = torch.randn((1, 4, 8, 8), generator=source) * float(scheduler.init_noise_sigma)
    extra = step_noise(scheduler, source, None)
    for timestep in scheduler.timesteps:
        seen = scheduler.scale_model_input(latents, timestep)
        kept = torch.lerp(
            scheduler.alphas_cumprod[int(timestep)],
            scheduler.alphas_cumprod[min(int(timestep) + 1, 999)],
            float(timestep) - int(timestep),
        )
        a, s = kept.sqrt(), (1 - kept).sqrt()
        noise = (seen - a * TARGET) / s
        answer = a * noise - s * TARGET if scheduler.config.prediction_type == "v_prediction" else noise
        latents = scheduler.step(answer, timestep, latents, return_dict=False, **extra)[0]
    return latents


TARGET = torch.linspace(-1.5, 1.5, 4)[None, :, None, None]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.name)
def test_every_sampler_arrives(sampler: Sampler, family: str) -> None:
    """With a perfect denoiser, every sampler under every schedule type ends on the picture, in 20 steps."""
    config = json.loads((HERE / family / "scheduler/scheduler_config.json").read_text())
    for schedule in SCHEDULE_TYPES:
        arrived = sample(config, sampler, schedule, 20)
        assert torch.isfinite(arrived).all(), schedule.name
        assert (arrived - TARGET).abs().mean() < 0.12, schedule.name


@pytest.mark.parametrize("steps", [1, 2, 3, 150])
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.name)
def test_few_and_many_steps(sampler: Sampler, steps: int) -> None:
    """One step and 150 steps are both drawn, whatever order the sampler has."""
    for family in ("sd1", "starter"):
        config = json.loads((HERE / family / "scheduler/scheduler_config.json").read_text())
        assert torch.isfinite(sample(config, sampler, SCHEDULE_TYPES[0], steps)).all()


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.name)
def test_a_seed_is_a_picture(sampler: Sampler) -> None:
    """The same seed gives the same latents bit for bit, noise of the sampler's own included."""
    config = json.loads((HERE / "sd1" / "scheduler/scheduler_config.json").read_text())
    once, again = (sample(config, sampler, SCHEDULE_TYPES[0], 6) for _ in range(2))
    assert torch.equal(once, again)


def test_karras_changes_euler_a() -> None:
    """diffusers' ancestral Euler has no Karras option; under Easel it has Karras' noise levels all the
    same."""
    config = json.loads((HERE / "sd1" / "scheduler/scheduler_config.json").read_text())
    euler_a, karras = resolve("Euler a Karras")
    euler, _ = resolve("Euler")
    assert torch.allclose(
        make_scheduler(config, euler_a, karras, 12, 0).sigmas,
        make_scheduler(config, euler, karras, 12, 0).sigmas,
    )


def test_automatic_is_what_a1111_does() -> None:
    """DPM++ 2M runs on Karras' schedule and DPM++ 2M SDE on the exponential one unless told otherwise."""
    config = json.loads((HERE / "sd1" / "scheduler/scheduler_config.json").read_text())
    for name, schedule in (("DPM++ 2M", "Karras"), ("DPM++ 2M SDE", "Exponential")):
        automatic = make_scheduler(config, *resolve(name), 20, 0)
        named = make_scheduler(config, *resolve(name, schedule), 20, 0)
        assert torch.equal(automatic.sigmas, named.sigmas)
