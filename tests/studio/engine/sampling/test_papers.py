"""Samplers that k-diffusion lacks, against diffusers where the arithmetic is the same, else papers."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from easel.studio.engine.sampling.ask import Answer, Ask
from easel.studio.engine.sampling.denoiser import TimestepDenoiser
from easel.studio.engine.sampling.levels import LcmLevels, NoiseLevels
from easel.studio.engine.sampling.methods.unipc import unipc, walk
from easel.studio.engine.sampling.plan import plan
from easel.studio.engine.sampling.samplers import resolve
from easel.studio.engine.sampling.schedules import noise_schedule
from easel.studio.engine.sampling.settings import SamplerSettings
from tests.studio.engine.sampling.judges import (
    SHAPE,
    NoiseSource,
    SyntheticUNet,
    drawn,
    k_diffusion,
    noise_for,
    relative_rms,
)

EPS = NoiseLevels.of_family({})
V = NoiseLevels.of_family({"prediction_type": "v_prediction"})
NEAR = 1e-4
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
LEADING = {**BETAS, "set_alpha_to_one": False, "steps_offset": 1, "timestep_spacing": "leading"}


def ours(
    name: str, schedule: str | None, steps: int, levels: NoiseLevels = EPS, **settings: Any
) -> tuple[Tensor, int, int]:
    """Latents of a sampler, its calls, and those announced."""
    made = plan(*resolve(name, schedule), levels, steps, SamplerSettings(**settings), seed=1)
    latents, calls = drawn(
        made.run(made.start(NoiseSource(3)()), NoiseSource()), made.denoiser, SyntheticUNet(levels)
    )
    return latents, calls, made.calls


def by_diffusers(scheduler: Any, levels: NoiseLevels, calls: int, **arguments: Any) -> Tensor:
    """The first `calls` calls of a diffusers scheduler on the same UNet, from the same noise."""
    unet, latents = SyntheticUNet(levels), NoiseSource(3)()
    for timestep in scheduler.timesteps[:calls]:
        output = unet(scheduler.scale_model_input(latents, timestep), timestep)
        latents = scheduler.step(output, timestep, latents, return_dict=False, **arguments)[0]
    return latents


@pytest.mark.parametrize("levels", [EPS, V], ids=["eps", "v"])
@pytest.mark.parametrize("steps", [5, 20, 50])
def test_ddim(steps: int, levels: NoiseLevels) -> None:
    """Diffusers' DDIM on the same timesteps, but for the last of its steps, which A1111 does not make."""
    prediction = "v_prediction" if levels.velocity else "epsilon"
    scheduler = diffusers.DDIMScheduler(**LEADING, clip_sample=False, prediction_type=prediction)
    scheduler.set_timesteps(steps)
    latents, calls, announced = ours("DDIM", None, steps, levels)
    assert calls == announced == steps - 1
    assert relative_rms(latents, by_diffusers(scheduler, levels, calls)) < NEAR


def test_ddim_with_noise() -> None:
    """An eta adds the picture's noise, as much as equation 16 says."""
    scheduler = diffusers.DDIMScheduler(**LEADING, clip_sample=False)
    scheduler.set_timesteps(20)
    unet, judged, source = SyntheticUNet(EPS), NoiseSource(3)(), NoiseSource()
    for timestep in scheduler.timesteps[:19]:
        judged = scheduler.step(
            unet(judged, timestep), timestep, judged, eta=0.7, variance_noise=source(), return_dict=False
        )[0]
    assert relative_rms(ours("DDIM", None, 20, eta_ddim=0.7)[0], judged) < NEAR


def test_cfgpp() -> None:
    """CFG++ is DDIM where guidance says nothing; else its direction is the negative prompt's noise."""
    assert torch.equal(ours("DDIM CFG++", None, 12)[0], ours("DDIM", None, 12)[0])
    sampler, schedule = resolve("DDIM CFG++")
    assert sampler.cfg_scale == pytest.approx(0.08)
    made = plan(sampler, schedule, EPS, 2, seed=1)
    x = NoiseSource(3)()
    sampling = made.run(x, NoiseSource())
    assert next(sampling) == Ask(x, 501.0)
    guided, unguided = NoiseSource(4)(), NoiseSource(5)()
    with pytest.raises(StopIteration) as end:
        sampling.send(Answer(guided, unguided))
    a, a_next = EPS.kept(501), EPS.kept(1)
    expected = a_next**0.5 * (x - (1 - a) ** 0.5 * guided) / a**0.5 + (1 - a_next) ** 0.5 * unguided
    torch.testing.assert_close(end.value.value, expected)


@pytest.mark.parametrize("steps", [5, 20, 50])
def test_plms(steps: int) -> None:
    """Diffusers' PNDM without Runge-Kutta on the same timesteps, but for its last step."""
    scheduler = diffusers.PNDMScheduler(**LEADING, skip_prk_steps=True)
    scheduler.set_timesteps(steps)
    latents, calls, announced = ours("PLMS", None, steps)
    assert calls == announced == steps
    assert relative_rms(latents, by_diffusers(scheduler, EPS, calls)) < NEAR


@pytest.mark.parametrize("variant", ["bh1", "bh2"])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("lower", [True, False])
def test_unipc(variant: str, order: int, lower: bool) -> None:
    """Diffusers' UniPC, given the same sigmas."""
    timesteps = walk(EPS, 999.0, 12, "time_uniform")
    log_a = torch.tensor([_log_a(EPS, t) for t in timesteps], dtype=torch.float64)
    scheduler = diffusers.UniPCMultistepScheduler(
        **BETAS, solver_order=order, solver_type=variant, predict_x0=True, lower_order_final=lower
    )
    scheduler.set_timesteps(12)
    scheduler.sigmas = (torch.exp(-2 * log_a) - 1).sqrt().float()
    scheduler.timesteps = torch.arange(12)
    unet, judged = SyntheticUNet(EPS), NoiseSource(3)()
    for i in range(12):
        judged = scheduler.step(unet(judged, timesteps[i]), i, judged, return_dict=False)[0]
    latents, calls, announced = ours(
        "UniPC", None, 12, uni_pc_variant=variant, uni_pc_order=order, uni_pc_lower_order_final=lower
    )
    # A1111 makes a whole stride of timesteps: 12 steps of 83 are 13
    assert calls == announced == 13
    latents, _ = drawn(
        unipc(NoiseSource(3)(), timesteps, EPS, NoiseSource(), SamplerSettings(
            uni_pc_variant=variant, uni_pc_order=order, uni_pc_lower_order_final=lower,
        )),
        TimestepDenoiser(EPS), SyntheticUNet(EPS),
    )  # fmt: skip
    assert relative_rms(latents, judged) < NEAR


def _log_a(levels: NoiseLevels, timestep: float) -> float:
    logs = levels.alphas_cumprod.double().log() / 2
    low = int(timestep)
    high = min(low + 1, 999)
    return float(logs[low] + (timestep - low) * (logs[high] - logs[low]))


@pytest.mark.parametrize("variant", ["bh1", "bh2", "vary_coeff"])
@pytest.mark.parametrize("skip", ["time_uniform", "time_quadratic", "logSNR"])
def test_unipc_converges(variant: str, skip: str) -> None:
    """Normal data have a known solution: each variant comes near, nearer with more steps."""
    spread = 0.8
    start = NoiseSource(3)()
    a, s = EPS.kept(999) ** 0.5, (1 - EPS.kept(999)) ** 0.5
    a_end, s_end = EPS.kept(0) ** 0.5, (1 - EPS.kept(0)) ** 0.5
    # along the ODE normal data stay on their quantile
    exact = start * ((a_end * spread) ** 2 + s_end**2) ** 0.5 / ((a * spread) ** 2 + s**2) ** 0.5
    errors = []
    for steps in (20, 80):
        timesteps = walk(EPS, 999.0, steps, skip)
        settings = SamplerSettings(uni_pc_variant=variant)
        sampling = unipc(start, timesteps, EPS, NoiseSource(), settings)
        ask = next(sampling)
        try:
            while True:
                signal = torch.tensor(_log_a(EPS, ask.level)).exp()
                noise_share = (1 - signal**2).sqrt()
                eps = ask.latents * noise_share / ((signal * spread) ** 2 + noise_share**2)
                ask = sampling.send(Answer(eps, eps))
        except StopIteration as end:
            errors.append(relative_rms(end.value, exact))
    # the authors' general coefficients, in their own program, are of first order only
    assert errors[0] < (1e-3 if skip == "logSNR" and variant != "vary_coeff" else 0.05), errors
    assert errors[1] < errors[0] / 3, errors


@pytest.mark.parametrize("steps", [2, 8, 50])
def test_lcm(steps: int) -> None:
    """Diffusers' LCM at the same timesteps, with the same noise; counts that fall on distilled ones."""
    scheduler = diffusers.LCMScheduler(**BETAS, clip_sample=False)
    timesteps = [int(t) for t in torch.linspace(999, 19, steps)]
    scheduler.set_timesteps(timesteps=timesteps, original_inference_steps=50)
    unet, source, judged = SyntheticUNet(EPS), NoiseSource(), NoiseSource(3)()
    judged = judged * (1 - EPS.kept(999)) ** 0.5  # diffusers begins with unit noise
    for i, timestep in enumerate(timesteps):
        kept = EPS.kept(timestep)
        a, s = kept**0.5, (1 - kept) ** 0.5
        denoised = (judged - s * unet(judged, timestep)) / a
        c_skip, c_out = scheduler.get_scalings_for_boundary_condition_discrete(timestep)
        denoised = c_out * denoised + c_skip * judged
        if i + 1 < len(timesteps):
            kept = EPS.kept(timesteps[i + 1])
            denoised = kept**0.5 * denoised + (1 - kept) ** 0.5 * source()
        judged = denoised
    latents, calls, announced = ours("LCM", None, steps)
    assert calls == announced == steps
    assert relative_rms(latents, judged) < NEAR


def test_lcm_levels() -> None:
    """50 levels, each 20th timestep from the 19th; a sigma between them belongs to the nearest."""
    levels = LcmLevels(EPS)
    assert len(levels.sigmas) == 50
    assert levels.sigma_min == float(EPS.sigmas[19])
    assert levels.sigma_max == EPS.sigma_max
    assert levels.sigma_to_t(float(EPS.sigmas[205])) == 199
    torch.testing.assert_close(levels.t_to_sigma(torch.tensor([999, 199])), EPS.sigmas[[999, 199]])


@pytest.mark.parametrize("schedule", ["Karras", "Exponential", "Uniform"])
@pytest.mark.parametrize("steps", [2, 20])
def test_deis(schedule: str, steps: int) -> None:
    """Diffusers' DEIS, which drew "DEIS" before, given our sigmas; but the last step takes the estimate."""
    sampler, chosen = resolve("DEIS", schedule)
    made = plan(sampler, chosen, EPS, steps, seed=1)
    unet = SyntheticUNet(EPS)
    seen: list[Tensor] = []

    def remembered(latents: Tensor, timestep: float) -> Tensor:
        seen.append(latents)
        return unet(latents, timestep)

    latents, _ = drawn(made.run(made.start(NoiseSource(3)()), NoiseSource()), made.denoiser, remembered)
    sigmas = noise_schedule(chosen.name, steps, EPS, SamplerSettings(), discard=False)
    scheduler = diffusers.DEISMultistepScheduler(**BETAS, solver_order=2)
    scheduler.set_timesteps(steps)
    scheduler.sigmas, scheduler.timesteps = torch.tensor(sigmas), torch.arange(steps)
    judged = NoiseSource(3)() * sigmas[0] / (1 + sigmas[0] ** 2) ** 0.5
    for i, sigma in enumerate(sigmas[:-2]):
        judged = scheduler.step(unet(judged, EPS.sigma_to_t(sigma)), i, judged, return_dict=False)[0]
    assert relative_rms(seen[-1], judged) < NEAR
    last = sigmas[-2]
    x = seen[-1] * (1 + last**2) ** 0.5
    torch.testing.assert_close(latents, x - last * unet(seen[-1], EPS.sigma_to_t(last)))


@pytest.mark.parametrize(("steps", "again", "times"), [(7, 0, 0), (20, 9, 1), (35, 9, 1), (40, 10, 2)])
def test_restart(steps: int, again: int, times: int) -> None:
    """Restarts put together from k-diffusion's Heun: down to 0.1, with new noise up to 2, and down again."""
    kd, external = k_diffusion()
    unet = SyntheticUNet(EPS)
    model = external.DiscreteEpsDDPMDenoiser(unet, EPS.alphas_cumprod, quantize=False)
    sigmas = kd.get_sigmas_karras(steps - again * times, EPS.sigma_min, EPS.sigma_max)
    source, x = NoiseSource(), NoiseSource(3)() * sigmas[0]
    low, high = int((sigmas - 0.1).abs().argmin()), int((sigmas - 2).abs().argmin())
    if times == 0:
        low = len(sigmas) - 1
    with noise_for(kd, NoiseSource(99)):
        x = kd.sample_heun(model, x, sigmas[: low + 1], disable=True)
        reached = sigmas[low]
        for _ in range(times):
            x = x + source() * (sigmas[high] ** 2 - reached**2) ** 0.5
            upward = kd.get_sigmas_karras(again + 1, sigmas[low].item(), sigmas[high].item())[:-1]
            x = kd.sample_heun(model, x, upward, disable=True)
            reached = upward[-1]
        if reached < sigmas[low]:  # by rounding
            x = x + source() * (sigmas[low] ** 2 - reached**2) ** 0.5
        if times:
            x = kd.sample_heun(model, x, sigmas[low:], disable=True)
    latents, calls, announced = ours("Restart", None, steps)
    assert calls == announced == 2 * steps - 1
    assert relative_rms(latents, x) < NEAR


def test_shapes() -> None:
    """Latents keep their shape: what is one picture's stays one picture's."""
    assert ours("UniPC", None, 4)[0].shape == SHAPE
