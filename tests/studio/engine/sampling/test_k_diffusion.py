"""Every sampler of k-diffusion's under every schedule type, against k-diffusion: the same latents."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from easel.studio.engine.sampling.levels import NoiseLevels
from easel.studio.engine.sampling.plan import plan
from easel.studio.engine.sampling.samplers import Sampler, resolve
from easel.studio.engine.sampling.schedule_types import SCHEDULE_TYPES, ScheduleType
from easel.studio.engine.sampling.schedules import noise_schedule
from easel.studio.engine.sampling.settings import SamplerSettings
from tests.crossing import crossed
from tests.studio.engine.sampling.judges import (
    NoiseSource,
    SyntheticUNet,
    drawn,
    k_diffusion,
    noise_for,
    relative_rms,
)

LEVELS = {
    "eps": NoiseLevels.of_family({}),
    "v": NoiseLevels.of_family({"prediction_type": "v_prediction"}),
}
SCHEDULES = [one for one in SCHEDULE_TYPES if one.name != "automatic"]
NEAR = 1e-4
# Its single precision cancels: one step from 15 to 0.03 goes below, to 0.03·sqrt(4e-6), by a difference.
LESS_NEAR = {"DPM++ 2S a": 1e-3}
SEED = 1234
# Its multistep SDE samplers know no schedule of a single step: "h_last = h" before there is an h.
NOT_ONE_STEP = {"DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 3M SDE"}


def _ancestral(name: str) -> Callable[..., Tensor]:
    return lambda kd, model, x, sigmas, source, s, steps: getattr(kd, name)(
        model, x, sigmas, eta=s.eta_ancestral, noise_sampler=source, disable=True
    )


def _plain(name: str) -> Callable[..., Tensor]:
    return lambda kd, model, x, sigmas, source, s, steps: getattr(kd, name)(model, x, sigmas, disable=True)


def _churning(name: str) -> Callable[..., Tensor]:
    return lambda kd, model, x, sigmas, source, s, steps: getattr(kd, name)(
        model, x, sigmas, s_churn=s.s_churn, s_tmin=s.s_tmin, s_tmax=s.s_tmax or float("inf"),
        s_noise=s.s_noise, disable=True,
    )  # fmt: skip


def _brownian(name: str, **options: object) -> Callable[..., Tensor]:
    def run(
        kd: Any, model: Any, x: Tensor, sigmas: Tensor, source: NoiseSource, s: SamplerSettings, steps: int
    ) -> Tensor:
        tree = kd.BrownianTreeNoiseSampler(x, sigmas[sigmas > 0].min(), sigmas.max(), seed=[SEED])
        function = getattr(kd, name)
        return function(
            model,
            x,
            sigmas,
            eta=s.eta_ancestral,
            s_noise=s.s_noise,
            noise_sampler=tree,
            disable=True,
            **options,
        )

    return run


def _range(name: str, *, counted: bool) -> Callable[..., Tensor]:
    def run(
        kd: Any, model: Any, x: Tensor, sigmas: Tensor, source: NoiseSource, s: SamplerSettings, steps: int
    ) -> Tensor:
        ends = model.sigmas[0].item(), model.sigmas[-1].item()
        count = (steps,) if counted else ()
        return getattr(kd, name)(
            model, x, *ends, *count, eta=s.eta_ancestral, noise_sampler=source, disable=True
        )

    return run


JUDGES: dict[str, Callable[..., Tensor]] = {
    "DPM++ 2M": _plain("sample_dpmpp_2m"),
    "DPM++ SDE": _brownian("sample_dpmpp_sde"),
    "DPM++ 2M SDE": _brownian("sample_dpmpp_2m_sde"),
    "DPM++ 2M SDE Heun": _brownian("sample_dpmpp_2m_sde", solver_type="heun"),
    "DPM++ 2S a": _ancestral("sample_dpmpp_2s_ancestral"),
    "DPM++ 3M SDE": _brownian("sample_dpmpp_3m_sde"),
    "Euler a": _ancestral("sample_euler_ancestral"),
    "Euler": _churning("sample_euler"),
    "LMS": _plain("sample_lms"),
    "Heun": _churning("sample_heun"),
    "DPM2": _churning("sample_dpm_2"),
    "DPM2 a": _ancestral("sample_dpm_2_ancestral"),
    "DPM fast": _range("sample_dpm_fast", counted=True),
    "DPM adaptive": _range("sample_dpm_adaptive", counted=False),
}


def judged_sigmas(kd: Any, model: Any, schedule: ScheduleType, steps: int, discard: bool) -> Tensor:
    """k-diffusion's own sigmas where it has the schedule, else ours, which `test_schedules.py` holds."""
    n = steps + discard
    ends = model.sigmas[0].item(), model.sigmas[-1].item()
    own = {
        "uniform": lambda: model.get_sigmas(n),
        "normal": lambda: model.get_sigmas(n),
        "karras": lambda: kd.get_sigmas_karras(n, *ends),
        "exponential": lambda: kd.get_sigmas_exponential(n, *ends),
        "polyexponential": lambda: kd.get_sigmas_polyexponential(n, *ends),
    }.get(schedule.name)
    if own is None:
        levels = LEVELS["eps"]
        return torch.tensor(noise_schedule(schedule.name, steps, levels, SamplerSettings(), discard=discard))
    sigmas = own()
    return torch.cat([sigmas[:-2], sigmas[-1:]]) if discard else sigmas


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Its tree warns of sigmas that single precision puts a hair outside of the range it was told."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Should have t", UserWarning)
        yield


def both(
    sampler: Sampler,
    schedule: ScheduleType,
    steps: int,
    prediction: str = "eps",
    settings: SamplerSettings | None = None,
) -> tuple[Tensor, Tensor, int, int]:
    """Latents of k-diffusion and ours, the calls that ours made and those announced."""
    kd, external = k_diffusion()
    settings = settings or SamplerSettings()
    levels = LEVELS[prediction]
    unet = SyntheticUNet(levels)
    wrapped = {"eps": external.DiscreteEpsDDPMDenoiser, "v": external.DiscreteVDDPMDenoiser}[prediction]
    model = wrapped(unet, levels.alphas_cumprod, quantize=False)
    sigmas = judged_sigmas(kd, model, schedule, steps, sampler.discard_next_to_last_sigma)
    start = NoiseSource(3)()
    source = NoiseSource()
    with noise_for(kd, source):
        theirs = JUDGES[sampler.name](kd, model, start * sigmas[0], sigmas, source, settings, steps)
    made = plan(sampler, schedule, levels, steps, settings, seed=SEED)
    ours, calls = drawn(made.run(made.start(start), NoiseSource()), made.denoiser, unet)
    return theirs, ours, calls, made.calls


@pytest.mark.thinned(5)
@pytest.mark.parametrize(
    ("schedule", "name"),
    crossed(
        SCHEDULES,
        JUDGES,
        lambda schedule, name: schedule.name in ("karras", "uniform") or name in ("DPM++ 2M", "Euler a"),
        name=lambda one: getattr(one, "name", one),
    ),
)
def test_latents_are_k_diffusions(name: str, schedule: ScheduleType) -> None:
    """1, 7, 20 and 36 steps of a UNet that predicts the noise, 20 of one that predicts v."""
    sampler, _ = resolve(name)
    for steps, prediction in ((1, "eps"), (7, "eps"), (20, "eps"), (36, "eps"), (20, "v")):
        if steps == 1 and name in NOT_ONE_STEP:
            continue
        theirs, ours, calls, announced = both(sampler, schedule, steps, prediction)
        assert relative_rms(ours, theirs) < LESS_NEAR.get(name, NEAR), (steps, prediction)
        assert calls == announced or name == "DPM adaptive", (steps, prediction)


@pytest.mark.parametrize("name", ["Euler", "Heun", "DPM2"])
@pytest.mark.parametrize(
    "settings",
    [SamplerSettings(s_churn=20), SamplerSettings(s_churn=20, s_tmin=0.3, s_tmax=6, s_noise=1.02)],
    ids=["everywhere", "within"],
)
def test_churn(name: str, settings: SamplerSettings) -> None:
    """Noise is added where k-diffusion adds it, and is the same noise after sigmas without."""
    sampler, schedule = resolve(name, "Karras")
    theirs, ours, _, _ = both(sampler, schedule, 15, settings=settings)
    assert relative_rms(ours, theirs) < NEAR
    unchurned = both(sampler, schedule, 15)[1]
    assert relative_rms(ours, unchurned) > 0.01


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.2])
@pytest.mark.parametrize("name", [name for name in JUDGES if resolve(name)[0].eta])
def test_eta(name: str, eta: float) -> None:
    """Less noise, none, and more than DDPM adds."""
    sampler, schedule = resolve(name, "Karras")
    theirs, ours, _, _ = both(sampler, schedule, 15, settings=SamplerSettings(eta_ancestral=eta))
    assert relative_rms(ours, theirs) < NEAR


@pytest.mark.parametrize("name", [name for name in JUDGES if resolve(name)[0].brownian_noise])
def test_strength_of_noise(name: str) -> None:
    """`s_noise` where A1111 passes it on."""
    sampler, schedule = resolve(name, "Karras")
    theirs, ours, _, _ = both(sampler, schedule, 15, settings=SamplerSettings(s_noise=1.05))
    assert relative_rms(ours, theirs) < NEAR


def test_timesteps_of_sigmas() -> None:
    """sigma_to_t and t_to_sigma, between timesteps, at the ends and beyond, whole ones too."""
    _, external = k_diffusion()
    levels = LEVELS["eps"]
    judge = external.DiscreteSchedule(levels.sigmas, quantize=False)
    for sigma in (0.001, levels.sigma_min, 0.0294, 0.3, 1.0, 7.77, levels.sigma_max, 200.0):
        asked = torch.tensor(sigma)
        assert levels.sigma_to_t(sigma) == pytest.approx(float(judge.sigma_to_t(asked)), abs=1e-3)
        assert levels.sigma_to_t(sigma, quantised=True) == float(judge.sigma_to_t(asked, quantize=True))
    for timestep in (0.0, 0.5, 17.25, 998.9, 999.0):
        asked = torch.tensor(timestep)
        assert float(levels.t_to_sigma(asked)) == float(judge.t_to_sigma(asked))
