"""What changes how a sampler works, under the names and with the defaults of A1111's options."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class SamplerSettings:
    """A1111's sampler parameters. Zero means "as the sampler, the family or the schedule has it", as there.

    `eta_ancestral` is for samplers of k-diffusion's kind, `eta_ddim` for DDIM. `skip_early_cond`,
    `s_min_uncond` and `s_min_uncond_all` are of guidance: no method reads them, the engine does.
    """

    eta_ancestral: float = 1.0
    eta_ddim: float = 0.0
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = 0.0
    s_noise: float = 1.0
    sigma_min: float = 0.0
    sigma_max: float = 0.0
    rho: float = 0.0
    always_discard_next_to_last_sigma: bool = False
    use_old_karras_scheduler_sigmas: bool = False
    enable_quantization: bool = False
    sgm_noise_multiplier: bool = False
    beta_dist_alpha: float = 0.6
    beta_dist_beta: float = 0.6
    uni_pc_variant: str = "bh1"
    uni_pc_skip_type: str = "time_uniform"
    uni_pc_order: int = 3
    uni_pc_lower_order_final: bool = True
    img2img_fix_steps: bool = False
    img2img_extra_noise: float = 0.0
    skip_early_cond: float = 0.0
    s_min_uncond: float = 0.0
    s_min_uncond_all: bool = False

    @property
    def highest_churned(self) -> float:
        """The highest sigma at which churn is added."""
        return self.s_tmax or math.inf
