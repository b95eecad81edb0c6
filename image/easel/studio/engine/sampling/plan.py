"""One picture's sampling: where it starts, which levels it walks, how many calls of the model that takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor

from easel.studio.engine.sampling.ask import Answer, BrownianNoise, Noise, Sampling
from easel.studio.engine.sampling.brownian import BrownianTree, UnitNoise
from easel.studio.engine.sampling.denoiser import (
    Denoiser,
    FlowDenoiser,
    LcmDenoiser,
    SigmaDenoiser,
    TimestepDenoiser,
)
from easel.studio.engine.sampling.levels import FlowLevels, LcmLevels, Levels, NoiseLevels
from easel.studio.engine.sampling.method_table import FLOW_METHODS, METHODS
from easel.studio.engine.sampling.methods.reversed_euler import reversed_euler
from easel.studio.engine.sampling.methods.unipc import walk
from easel.studio.engine.sampling.samplers import Sampler
from easel.studio.engine.sampling.schedule_types import AUTOMATIC, ScheduleType, resolve_schedule_type
from easel.studio.engine.sampling.schedules import noise_schedule
from easel.studio.engine.sampling.settings import SamplerSettings

_LONGEST = 10_000
"""Steps of a schedule of which image to image enters the end: a strength near zero asks for millions."""


@dataclass(frozen=True)
class SamplingPlan:
    """What `plan` makes of a request's sampler for one picture.

    `steps`: what A1111 calls the steps of this pass, fewer than asked in image to image. `prompt_steps`: the
    steps that prompt editing counts in, those asked, twice for second-order samplers. `guidance_steps`: the
    same of this pass, which `skip_early_cond` and the refiner's switch count in. Call number k, from zero, is
    at step k of either, as in A1111; a sampler may make fewer calls than steps (DDIM) or more. `calls`: all
    of them; DPM adaptive's are estimated. `denoiser` is between the method's latents and the UNet.
    """

    steps: int
    prompt_steps: int
    guidance_steps: int
    calls: int
    denoiser: Denoiser
    _begin: Callable[[Tensor, Noise], Sampling]
    _pure_noise: float
    _image: float
    _noise: float
    _extra_noise: float

    def start(self, noise: Tensor) -> Tensor:
        """Latents to begin with in text to image, of unit noise."""
        return noise * self._pure_noise

    def start_from(self, latents: Tensor, noise: Tensor) -> Tensor:
        """Latents to begin with in image to image, of a picture's latents and unit noise."""
        return latents * self._image + noise * (self._noise + self._extra_noise * self._image)

    def run(self, x: Tensor, noise: Noise) -> Sampling:
        """The method at work: it yields what to denoise, is sent answers, and returns finished latents."""
        return self._begin(x, noise)


class _Steps(NamedTuple):
    """The steps of a whole schedule, and where image to image enters it: with `entry` steps left, and one."""

    asked: int
    whole: int
    entry: int
    whole_is_walked: bool

    @property
    def walked(self) -> int:
        return self.whole if self.whole_is_walked else self.entry + 1


def plan(
    sampler: Sampler,
    schedule: ScheduleType,
    levels: Levels,
    steps: int,
    settings: SamplerSettings | None = None,
    *,
    denoising_strength: float | None = None,
    seed: int,
    unit_noise: UnitNoise | None = None,
) -> SamplingPlan:
    """The plan for one picture.

    `denoising_strength` None is text to image. A second pass of hires fix is image to image with
    `img2img_fix_steps`. `seed` is the picture's own, for samplers with Brownian noise, whose numbers
    `unit_noise` draws where they shall not be torch's of the CPU.
    """
    settings = settings or SamplerSettings()
    counted = _steps(steps, denoising_strength, settings)
    if isinstance(levels, FlowLevels):
        return _by_flow(sampler, schedule, levels, counted, settings)
    assert isinstance(levels, NoiseLevels)  # noqa: S101 - a checkpoint has the one kind or the other
    if sampler.by_timestep:
        return _by_timesteps(sampler, levels, counted, settings)
    return _by_sigmas(sampler, schedule, levels, counted, settings, seed, unit_noise)


def plan_backwards(levels: NoiseLevels, steps: int, *, adjusted: bool) -> SamplingPlan:
    """The plan for finding the noise that leads to a picture, over k-diffusion's own sigmas."""
    sigmas = [*levels.uniform(steps).tolist(), 0.0][::-1]
    return SamplingPlan(
        steps=steps,
        prompt_steps=steps,
        guidance_steps=steps,
        calls=steps - adjusted,
        denoiser=SigmaDenoiser(levels),
        _begin=lambda x, _: reversed_euler(x, sigmas, adjusted=adjusted),
        _pure_noise=1.0,
        _image=1.0,
        _noise=0.0,
        _extra_noise=0.0,
    )


def _steps(asked: int, strength: float | None, settings: SamplerSettings) -> _Steps:
    """A1111's setup_img2img_steps."""
    if strength is None:
        return _Steps(asked, asked, asked, whole_is_walked=True)
    if settings.img2img_fix_steps:
        whole = int(min(asked / min(strength, 0.999), _LONGEST)) if strength > 0 else 0
        return _Steps(asked, whole, asked - 1, whole_is_walked=False)
    return _Steps(asked, asked, int(min(strength, 0.999) * asked), whole_is_walked=False)


def _by_sigmas(
    sampler: Sampler,
    schedule: ScheduleType,
    levels: NoiseLevels,
    counted: _Steps,
    settings: SamplerSettings,
    seed: int,
    unit_noise: UnitNoise | None,
) -> SamplingPlan:
    if schedule is AUTOMATIC:
        schedule = resolve_schedule_type(sampler.automatic)
    denoiser: SigmaDenoiser = SigmaDenoiser(levels, quantised=settings.enable_quantization)
    if sampler.kind == "lcm":
        levels = LcmLevels(levels)
        denoiser = LcmDenoiser(levels)
    discard = sampler.discard_next_to_last_sigma or settings.always_discard_next_to_last_sigma
    sigmas = [0.0]
    if counted.whole:
        sigmas = noise_schedule(schedule.name, counted.whole, levels, settings, discard=discard)
    used = sigmas if counted.whole_is_walked else _entered(sigmas, counted)
    method = METHODS[sampler.method]
    arguments: tuple[Any, ...] = (used,)
    if sampler.kind == "range":
        arguments = _range(levels, used, counted)

    def walked(x: Tensor, source: Noise | BrownianNoise) -> Sampling:
        return method(x, *arguments, source, settings) if len(used) > 1 else _nothing(x)

    def begin(x: Tensor, noise: Noise) -> Sampling:
        if not sampler.brownian_noise or len(used) < 2:
            return walked(x, noise)
        # of the whole schedule, also where image to image walks its end
        above_zero = [sigma for sigma in sigmas if sigma > 0]
        return walked(x, BrownianTree(x, above_zero[-1], above_zero[0], seed, unit_noise))

    highest = used[0]
    return SamplingPlan(
        steps=counted.walked,
        prompt_steps=counted.asked * (2 if sampler.second_order else 1),
        guidance_steps=counted.walked * (2 if sampler.second_order else 1),
        calls=_count(lambda x: walked(x, lambda *_: torch.zeros_like(x)), highest),
        denoiser=denoiser,
        _begin=begin,
        _pure_noise=sqrt(1 + highest**2) if settings.sgm_noise_multiplier else highest,
        _image=1.0,
        _noise=highest,
        _extra_noise=settings.img2img_extra_noise,
    )


def _by_flow(
    sampler: Sampler, schedule: ScheduleType, levels: FlowLevels, counted: _Steps, settings: SamplerSettings
) -> SamplingPlan:
    """Of a sampler that `samplers.of_flows` gave. Churn, which is noise on top, is left out."""
    settings = replace(settings, s_churn=0.0)
    discard = sampler.discard_next_to_last_sigma or settings.always_discard_next_to_last_sigma
    sigmas = [0.0]
    if counted.whole and schedule is AUTOMATIC:
        sigmas = levels.published(counted.whole)
    elif counted.whole:
        sigmas = noise_schedule(schedule.name, counted.whole, levels, settings, discard=discard)
    used = sigmas if counted.whole_is_walked else _entered(sigmas, counted)
    method, highest = FLOW_METHODS[sampler.method], used[0]

    def begin(x: Tensor, noise: Noise) -> Sampling:
        return method(x, used, noise, settings) if len(used) > 1 else _nothing(x)

    return SamplingPlan(
        steps=counted.walked,
        prompt_steps=counted.asked * (2 if sampler.second_order else 1),
        guidance_steps=counted.walked * (2 if sampler.second_order else 1),
        calls=_count(lambda x: begin(x, lambda: torch.zeros_like(x)), highest),
        denoiser=FlowDenoiser(),
        _begin=begin,
        _pure_noise=highest,
        _image=1.0 - highest,
        _noise=highest,
        _extra_noise=settings.img2img_extra_noise,
    )


def _entered(sigmas: list[float], counted: _Steps) -> list[float]:
    """The end of a schedule; the same share of one that has fewer sigmas than steps."""
    first = max(0, counted.whole - counted.entry - 1)
    if len(sigmas) <= counted.whole:
        first = first * (len(sigmas) - 1) // counted.whole
    return sigmas[first:]


def _range(levels: NoiseLevels, used: Sequence[float], counted: _Steps) -> tuple[float, float, int]:
    """Where DPM fast and adaptive go: over all of training, or what image to image enters; never to zero."""
    if counted.whole_is_walked:
        return levels.sigma_max, levels.sigma_min, counted.asked
    return used[0], used[-2] if len(used) > 1 else used[0], len(used) - 1


def _by_timesteps(
    sampler: Sampler, levels: NoiseLevels, counted: _Steps, settings: SamplerSettings
) -> SamplingPlan:
    timesteps = _timesteps(levels, counted.whole, settings) if counted.whole else [0]
    used, entry = timesteps, timesteps[-1]
    if not counted.whole_is_walked:
        at = counted.entry
        if counted.whole > len(timesteps):
            at = at * len(timesteps) // counted.whole
        at = min(at, len(timesteps) - 1)
        # A1111 makes noise for one timestep and calls the model at the one below
        used, entry = timesteps[:at], timesteps[at]
    method = METHODS[sampler.method]
    downward = _downward(sampler, levels, used, counted.whole_is_walked, settings)

    def begin(x: Tensor, noise: Noise) -> Sampling:
        return method(x, downward, levels, noise, settings) if len(downward) > 1 else _nothing(x)

    kept = levels.kept(entry)
    return SamplingPlan(
        steps=counted.walked,
        prompt_steps=counted.asked,
        guidance_steps=counted.walked,
        calls=_count(lambda x: begin(x, lambda: torch.zeros_like(x)), 1.0),
        denoiser=TimestepDenoiser(levels),
        _begin=begin,
        _pure_noise=1.0,
        _image=sqrt(kept) if counted.whole else 1.0,
        _noise=sqrt(1 - kept) if counted.whole else 0.0,
        _extra_noise=settings.img2img_extra_noise,
    )


def _timesteps(levels: NoiseLevels, steps: int, settings: SamplerSettings) -> list[int]:
    """A1111's get_timesteps: a whole stride from the second timestep on, lowest first."""
    count = len(levels.sigmas)
    stride = max(1, count // (steps + settings.always_discard_next_to_last_sigma))
    return [min(t + 1, count - 1) for t in range(0, count, stride)]


def _downward(
    sampler: Sampler, levels: NoiseLevels, used: list[int], whole: bool, settings: SamplerSettings
) -> list[float]:
    """The timesteps that a method walks, highest first."""
    if sampler.method == "unipc" and used:
        first = levels.last_timestep if whole else used[-1]
        return walk(levels, first, len(used), settings.uni_pc_skip_type)
    if whole and len(used) == 1:
        # the last timestep is where a method ends: of one step A1111 gives back the noise
        return [float(levels.last_timestep), float(used[0])]
    return [float(timestep) for timestep in reversed(used)]


def _nothing(x: Tensor) -> Sampling:
    """No step at all: hires fix at strength zero."""
    return x
    yield


def _count(begin: Callable[[Tensor], Sampling], highest: float) -> int:
    """The calls a method makes, by letting it run on next to nothing: normal data, and no noise."""
    x = torch.linspace(-1.5, 1.5, 16).reshape(1, 1, 4, 4) * highest
    sampling = begin(x)
    calls = 0
    answer: Answer | None = None
    while True:
        try:
            asked = sampling.send(answer) if answer is not None else next(sampling)
        except StopIteration:
            return calls
        calls += 1
        denoised = asked.latents / (1 + asked.level**2)
        answer = Answer(denoised, denoised)
