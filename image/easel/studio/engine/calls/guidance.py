"""Which backbone calls leave the negative prompt out: A1111's `skip_early_cond`, and NGMS
(`s_min_uncond`)."""

from __future__ import annotations

from easel.studio.engine.sampling.settings import SamplerSettings


def without_negative(settings: SamplerSettings, call: int, steps: int, level: float) -> bool:
    """Whether call number `call`, from zero, takes the positive prompt's answer as it is.

    `steps` are those of the sampling, twice for samplers of second order, as A1111 counts them here. `level`
    is what the sampler walks: a sigma, or a timestep for DDIM and its like. CFG++ needs the negative prompt's
    answer in every call: whoever draws with it does not ask.
    """
    if settings.skip_early_cond and call / steps <= settings.skip_early_cond:
        return True
    every_other = call % 2 == 1 or settings.s_min_uncond_all
    return every_other and level < settings.s_min_uncond
