"""The methods by name. One a file of `methods/`, generators that yield `Ask`s and are sent `Answer`s.

Three shapes, by `Sampler.kind`. `sigmas` and `lcm`: `method(x, sigmas, noise, settings)`. `range`: `method(x,
highest, lowest, calls, noise, settings)`. `timesteps`: `method(x, timesteps, levels, noise, settings)`.
`noise` is `Noise`, or `BrownianNoise` for samplers that say so in the table.
"""

from __future__ import annotations

from collections.abc import Callable

from easel.studio.engine.sampling.ask import Sampling
from easel.studio.engine.sampling.methods.ddim import ddim, ddim_cfgpp
from easel.studio.engine.sampling.methods.deis import deis
from easel.studio.engine.sampling.methods.dpm2 import dpm2, dpm2_ancestral
from easel.studio.engine.sampling.methods.dpm_solver import dpm_adaptive, dpm_fast
from easel.studio.engine.sampling.methods.dpmpp_2m import dpmpp_2m
from easel.studio.engine.sampling.methods.dpmpp_2s_ancestral import dpmpp_2s_ancestral
from easel.studio.engine.sampling.methods.dpmpp_multistep_sde import (
    dpmpp_2m_sde,
    dpmpp_2m_sde_heun,
    dpmpp_3m_sde,
)
from easel.studio.engine.sampling.methods.dpmpp_sde import dpmpp_sde
from easel.studio.engine.sampling.methods.euler import euler, euler_ancestral
from easel.studio.engine.sampling.methods.flow import euler_ancestral_flow, lcm_flow
from easel.studio.engine.sampling.methods.heun import heun
from easel.studio.engine.sampling.methods.lcm import lcm
from easel.studio.engine.sampling.methods.lms import lms
from easel.studio.engine.sampling.methods.plms import plms
from easel.studio.engine.sampling.methods.restart import restart
from easel.studio.engine.sampling.methods.unipc import unipc

METHODS: dict[str, Callable[..., Sampling]] = {
    method.__name__: method
    for method in (
        ddim, ddim_cfgpp, deis, dpm2, dpm2_ancestral, dpm_adaptive, dpm_fast, dpmpp_2m, dpmpp_2m_sde,
        dpmpp_2m_sde_heun, dpmpp_2s_ancestral, dpmpp_3m_sde, dpmpp_sde, euler, euler_ancestral, heun, lcm,
        lms, plms, restart, unipc,
    )
}  # fmt: skip
"""By `Sampler.method`."""

FLOW_METHODS: dict[str, Callable[..., Sampling]] = {
    "euler": euler,
    "euler_ancestral": euler_ancestral_flow,
    "heun": heun,
    "lms": lms,
    "dpm2": dpm2,
    "dpmpp_2m": dpmpp_2m,
    "deis": deis,
    "lcm": lcm_flow,
}
"""The methods of models that predict a flow, by the same names. Those that only follow the path are the very
same: they know sigmas and denoised latents, and a straight line is one in either."""
