"""A1111's names of samplers and schedule types, and what its lists tell of each."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easel.studio.engine.errors import UnknownSampler
from easel.studio.engine.sampling.method_table import METHODS
from easel.studio.engine.sampling.samplers import SAMPLERS, Sampler, resolve
from easel.studio.engine.sampling.schedule_types import SCHEDULE_TYPES, ScheduleType
from easel.studio.engine.sampling.schedules import SCHEDULES

# as its release 1.10 lists them
A1111 = (
    "DPM++ 2M, DPM++ SDE, DPM++ 2M SDE, DPM++ 2M SDE Heun, DPM++ 2S a, DPM++ 3M SDE, Euler a, Euler, LMS, "
    "Heun, DPM2, DPM2 a, DPM fast, DPM adaptive, Restart, DDIM, DDIM CFG++, PLMS, UniPC, LCM"
)
A1111_SCHEDULES = (
    "Automatic, Uniform, Karras, Exponential, Polyexponential, SGM Uniform, KL Optimal, Align Your Steps, "
    "Simple, Normal, DDIM, Beta"
)


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
        ("DPM++ 2M SDE Heun Karras", None, "DPM++ 2M SDE Heun", "Karras"),
        ("DPM++ 2S a Karras", None, "DPM++ 2S a", "Karras"),
        ("k_dpmpp_2m_ka", None, "DPM++ 2M", "Karras"),
        ("k_dpmpp_2m_sde_heun_exp", None, "DPM++ 2M SDE Heun", "Exponential"),
        ("K_DPM_AD", "kl_optimal", "DPM adaptive", "KL Optimal"),
        ("ddim_cfgpp", None, "DDIM CFG++", "Automatic"),
        ("Euler Align Your Steps", None, "Euler", "Align Your Steps"),
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


def test_the_list_is_a1111s() -> None:
    """All of its samplers and schedule types in its order, and ours beside them."""
    assert ", ".join(one.name for one in SAMPLERS if one.name != "DEIS") == A1111
    assert ", ".join(one.label for one in SCHEDULE_TYPES if one.label != "Turbo") == A1111_SCHEDULES


def test_each_row_has_what_it_names() -> None:
    """A method for each sampler, sigmas for each schedule type but Automatic, and no other method."""
    assert set(METHODS) == {one.method for one in SAMPLERS}
    assert set(SCHEDULES) == {one.name for one in SCHEDULE_TYPES} - {"automatic"}


def test_options() -> None:
    """What A1111's list tells of a sampler."""
    heun, dpm2_a, euler = (resolve(name)[0].options for name in ("DPM++ 2M SDE Heun", "DPM2 a", "Euler"))
    assert heun == {"scheduler": "exponential", "brownian_noise": "True", "solver_type": "heun"}
    assert dpm2_a.pop("scheduler") == "karras"
    assert dpm2_a == dict.fromkeys(("discard_next_to_last_sigma", "uses_ensd", "second_order"), "True")
    assert euler == {}
