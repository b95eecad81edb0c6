"""Samplers and schedule types: A1111's names, and schedulers that arrive where they should."""

from __future__ import annotations

import json
import string

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from easel.studio.engine.errors import UnknownSampler
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


@pytest.mark.parametrize(
    ("name", "schedule", "sampler", "label"),
    [
        ("Euler a", None, "Euler a", "Automatic"),
        ("euler A", "automatic", "Euler a", "Automatic"),
        ("k_euler_ancestral", "", "Euler a", "Automatic"),
        ("DPM++ 2M Karras", None, "DPM++ 2M", "Karras"),
        ("DPM++ 2M Karras", "Automatic", "DPM++ 2M", "Karras"),
        ("DPM++ 2M Karras", "exponential", "DPM++ 2M", "Exponential"),
        ("DPM++ 2M SDE Karras", None, "DPM++ 2M SDE", "Karras"),
        ("DPM++ 3M SDE Exponential", None, "DPM++ 3M SDE", "Exponential"),
        ("DPM++ SDE Karras", None, "DPM++ SDE", "Karras"),
        ("DPM2 a Karras", None, "DPM2 a", "Karras"),
        ("  DDIM ", "SGM Uniform", "DDIM", "SGM Uniform"),
        ("UniPC", "sgm_uniform", "UniPC", "SGM Uniform"),
    ],
)
def test_names(name: str, schedule: str | None, sampler: str, label: str) -> None:
    """Names, aliases and joined names of older clients all lead to one sampler and schedule."""
    found, spread = resolve(name, schedule)
    assert (found.name, spread.label) == (sampler, label)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.name)
@pytest.mark.parametrize("schedule", SCHEDULE_TYPES, ids=lambda s: s.name)
def test_every_joined_name_splits(sampler: Sampler, schedule: ScheduleType) -> None:
    """ "<sampler> <schedule>" is understood for every pair, by label, name or alias."""
    for spelling in (schedule.label, schedule.name, *schedule.aliases):
        assert resolve(f"{sampler.name} {spelling}") == (sampler, schedule)


@pytest.mark.parametrize("name", ["", "Eulr a", "Karras", "DPM++ 2M Kras", "Euler a; DROP", "🖌"])
def test_unknown_names_are_told_with_the_nearest(name: str) -> None:
    """A misspelt sampler is an error that lists what there is, never a silent default."""
    with pytest.raises(UnknownSampler, match="Known: DPM"):
        resolve(name)
    if name == "Eulr a":
        with pytest.raises(UnknownSampler, match="did you mean 'Euler a'"):
            resolve(name)


@given(st.text(string.printable, max_size=40), st.text(string.printable, max_size=20))
def test_any_name_is_known_or_refused(name: str, schedule: str) -> None:
    """Whatever a client sends, the answer is a sampler or UnknownSampler."""
    try:
        sampler, _ = resolve(name, schedule)
    except UnknownSampler:
        return
    assert sampler in SAMPLERS


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
