"""Where each schedule type places its levels, by what its source says of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from diffusers.schedulers import AysSchedules
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta as beta_distribution

from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.sampling.levels import LcmLevels, NoiseLevels
from easel.studio.engine.sampling.schedule_types import SCHEDULE_TYPES
from easel.studio.engine.sampling.schedules import noise_schedule
from easel.studio.engine.sampling.settings import SamplerSettings

LEVELS = NoiseLevels.of_family({})
ZERO_SNR = NoiseLevels.of_family({"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"})
NAMES = [one.name for one in SCHEDULE_TYPES if one.name != "automatic"]
ENDS = pytest.approx((LEVELS.sigma_max, LEVELS.sigma_min), rel=1e-5)


def sigmas(
    name: str, steps: int, levels: NoiseLevels = LEVELS, *, discard: bool = False, **settings: object
) -> np.ndarray:
    return np.array(
        noise_schedule(name, steps, levels, SamplerSettings(**settings), discard=discard)  # type: ignore[arg-type]
    )


@given(
    st.sampled_from(NAMES),
    st.integers(1, 150),
    st.sampled_from([LEVELS, ZERO_SNR, LcmLevels(LEVELS)]),
    st.booleans(),
)
def test_sigmas_fall_to_zero(name: str, steps: int, levels: NoiseLevels, discard: bool) -> None:
    """Any count of steps: finite sigmas, each below the one before, to zero; as many as steps but for DDIM's.

    LCM's Simple and Turbo have 50 levels to take from. KL Optimal ends at the least sigma.
    """
    found = sigmas(name, steps, levels, discard=discard)
    assert np.isfinite(found).all()
    assert (np.diff(found) < 0).all()
    assert found[-1] == (pytest.approx(levels.sigma_min, rel=1e-4) if name == "kl_optimal" else 0)
    wanted = steps
    if name in {"simple", "turbo"} and levels.last_timestep < steps + discard:
        wanted = levels.last_timestep + 1
    assert len(found) == pytest.approx(wanted + 1, abs=discard) or name == "ddim"
    assert found[0] <= levels.sigma_max * 1.0001 or name == "align_your_steps"


def test_where_it_begins_and_ends() -> None:
    """Those between two sigmas have both, 20 steps apart."""
    for name in ("uniform", "karras", "exponential", "polyexponential", "normal", "beta"):
        found = sigmas(name, 20)
        assert (found[0], found[-2]) == ENDS, name


def test_kl_optimal() -> None:
    """Arctangents are evenly spread."""
    steps = np.diff(np.arctan(sigmas("kl_optimal", 17)))
    assert steps == pytest.approx(np.full(17, steps[0]), rel=1e-4)


@pytest.mark.parametrize("sdxl", [False, True])
def test_align_your_steps(sdxl: bool) -> None:
    """Ten steps are NVIDIA's table, as diffusers has it; others lie on lines of its logarithms."""
    levels = NoiseLevels.of_family({}, sdxl=sdxl)
    table = AysSchedules["StableDiffusionXLSigmas" if sdxl else "StableDiffusionSigmas"]
    assert sigmas("align_your_steps", 11, levels) == pytest.approx([*table[:-1], 0.029, 0], rel=0.01)
    doubled = sigmas("align_your_steps", 21, levels)
    assert doubled[:-1:2] == pytest.approx(sigmas("align_your_steps", 11, levels)[:-1], rel=1e-5)
    assert doubled[1] == pytest.approx(math.sqrt(doubled[0] * doubled[2]), rel=1e-5)


def test_levels_of_training() -> None:
    """Simple, DDIM, SGM Uniform and Turbo at whole timesteps."""
    timesteps = {
        "simple": [999, 799, 599, 399, 199],
        "ddim": [801, 601, 401, 201, 1],
        "turbo": [999, 799, 599, 399, 199],
    }
    for name, expected in timesteps.items():
        assert sigmas(name, 5)[:-1] == pytest.approx(LEVELS.sigmas[expected].numpy()), name
    assert sigmas("ddim", 150).shape == (168,)
    found = [LEVELS.sigma_to_t(sigma) for sigma in sigmas("sgm_uniform", 4)[:-1]]
    assert found == pytest.approx([999, 749.25, 499.5, 249.75], abs=0.01)


def test_beta() -> None:
    """Sigmas are quantiles of the beta distribution that the options name."""
    found = sigmas("beta", 9, beta_dist_alpha=0.7, beta_dist_beta=0.5)[:-1]
    share = (found - LEVELS.sigma_min) / (LEVELS.sigma_max - LEVELS.sigma_min)
    assert beta_distribution.cdf(share, 0.7, 0.5) == pytest.approx(np.linspace(1, 0, 9), abs=1e-4)


def test_what_settings_change() -> None:
    """sigma_min, sigma_max, rho, the old ends of Karras, and the sigma that is left out."""
    assert sigmas("karras", 8, sigma_min=0.2, sigma_max=9.0)[[0, -2]] == pytest.approx([9.0, 0.2])
    assert sigmas("karras", 8, use_old_karras_scheduler_sigmas=True)[[0, -2]] == pytest.approx([10, 0.1])
    assert sigmas("polyexponential", 8, rho=1.0) == pytest.approx(sigmas("exponential", 8), rel=1e-5)
    roots = sigmas("karras", 8, rho=3.0)[:-1] ** (1 / 3)
    assert np.diff(roots) == pytest.approx(np.full(7, roots[1] - roots[0]), rel=1e-4)
    assert (np.diff(sigmas("polyexponential", 150, rho=16.0)) < 0).all()
    assert sigmas("uniform", 8, rho=3.0) == pytest.approx(sigmas("uniform", 8))
    longer = sigmas("karras", 9)
    assert sigmas("karras", 8, discard=True) == pytest.approx(np.delete(longer, -2))


@pytest.mark.parametrize(("lowest", "highest"), [(20.0, 0.0), (3.0, 2.0), (0.0, 0.01), (-1.0, 0.0)])
def test_ends_the_wrong_way_round(lowest: float, highest: float) -> None:
    """A least sigma that is not below the highest is refused, with the highest."""
    with pytest.raises(InvalidRequest, match=r"sigma_min is .* below sigma_max, which is"):
        sigmas("karras", 10, sigma_min=lowest, sigma_max=highest)


def test_zero_terminal_snr() -> None:
    """The first sigmas stay, the last is A1111's; roots of the signal are moved and scaled between."""
    assert ZERO_SNR.sigma_min == pytest.approx(LEVELS.sigma_min, rel=1e-4)
    assert ZERO_SNR.sigma_max == pytest.approx(4518.8, rel=1e-3)
    roots, before = ZERO_SNR.alphas_cumprod[:-1].sqrt(), LEVELS.alphas_cumprod[:-1].sqrt()
    slope = (roots - roots[0]) / (before - before[0])
    torch.testing.assert_close(slope[1:], slope[500].expand(998), rtol=1e-3, atol=1e-3)
