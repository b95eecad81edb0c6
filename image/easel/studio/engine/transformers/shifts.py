"""Which shares of noise a flow family's steps are made at, as its publisher's pipeline makes them.

Even steps spend too few on the noise that a large picture needs: it hides less of it. So the even shares are
bent towards noise, `s -> f·s / (1 + (f-1)·s)` with a factor f > 1 (Stable Diffusion 3, arXiv 2403.03206,
section 5.3.2): the same factor for all sizes, or one by the number of the picture's patches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_STABLE_DIFFUSION_3 = frozenset({"sd3", "sd35-medium", "sd35-large"})
_FLUX2 = frozenset({"flux2", "flux2-klein-4b", "flux2-klein-9b"})
# Lines of mu by patches, fitted by Black Forest Labs at 200 steps and at 10 (`compute_empirical_mu` of
# flux2/sampling.py). Above so many patches the line of 200 goes for any number of steps.
_AT_200 = (0.00016927, 0.45666666)
_AT_10 = (8.73809524e-05, 1.89833333)
_MANY_PATCHES = 4300


def sigmas(steps: int, image_tokens: int, scheduler_config: Mapping[str, Any], family: str) -> list[float]:
    """Shares of noise of so many steps, from 1 (or near it) down, and 0 at the end: `steps + 1` of them.

    `image_tokens` is the number of patches of the picture that is drawn, of 16 by 16 pixels in every family;
    references do not count. The same as the family's pipeline in diffusers hands to its scheduler.
    """
    factor = shift(steps, image_tokens, scheduler_config, family)
    shares = [shifted(one, factor) for one in _even(steps, scheduler_config, family)]
    return [*stretched(shares, scheduler_config), 0.0]


def shift(steps: int, image_tokens: int, scheduler_config: Mapping[str, Any], family: str) -> float:
    """The factor that this family's shares are bent by. Schedules of other spacings than the publisher's
    take it as well."""
    if not scheduler_config.get("use_dynamic_shifting", False):
        return float(scheduler_config.get("shift", 1.0))
    if family in _FLUX2:
        return math.exp(_empirical_mu(steps, image_tokens))
    few = scheduler_config["base_image_seq_len"]
    many = scheduler_config["max_image_seq_len"]
    low, high = scheduler_config["base_shift"], scheduler_config["max_shift"]
    return math.exp(low + (high - low) * (image_tokens - few) / (many - few))


def shifted(share: float, factor: float) -> float:
    """A share of noise, bent towards noise by the factor; 0 and 1 stay where they are."""
    return factor * share / (1 + (factor - 1) * share)


def stretched(shares: Sequence[float], scheduler_config: Mapping[str, Any]) -> list[float]:
    """Shares drawn out so that the last step is made at the configuration's `shift_terminal`, which
    Qwen-Image's has; without it, as they are. A single step goes from noise to picture whatever it says."""
    terminal = scheduler_config.get("shift_terminal")
    if not terminal or len(shares) < 2:
        return list(shares)
    scale = (1 - shares[-1]) / (1 - terminal)
    return [1 - (1 - share) / scale for share in shares]


def _even(steps: int, scheduler_config: Mapping[str, Any], family: str) -> list[float]:
    """Before they are bent: in equal parts down to the last, 1/steps; of SD 3 down to the lowest share of
    its training."""
    last = 1 / steps
    if family in _STABLE_DIFFUSION_3:
        # it is bent here once and below once more: so does the scheduler, and so was it published
        last = shifted(1 / scheduler_config["num_train_timesteps"], scheduler_config["shift"])
    return [1.0 + (last - 1.0) * step / max(1, steps - 1) for step in range(steps)]


def _empirical_mu(steps: int, patches: int) -> float:
    at_200, at_10 = (slope * patches + offset for slope, offset in (_AT_200, _AT_10))
    if patches > _MANY_PATCHES:
        return at_200
    return at_200 + (at_200 - at_10) / 190 * (steps - 200)
