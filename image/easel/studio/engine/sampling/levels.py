"""The noise levels a checkpoint was trained at, and the way between them and its timesteps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

_LEAST_SIGNAL = 4.8973451890853435e-08
"""The signal that A1111 leaves at the last step of zero terminal SNR: at zero its sigma would be infinite."""


class Levels(Protocol):
    """What schedule types ask of the levels that a checkpoint was trained at: their sigmas, least first, and
    the way between these and timesteps. `sdxl`: Align Your Steps has a table of its own for SDXL."""

    sigmas: Tensor
    sdxl: bool

    @property
    def sigma_min(self) -> float:
        """The least sigma of training."""

    @property
    def sigma_max(self) -> float:
        """The greatest sigma of training."""

    def sigma_to_t(self, sigma: float, *, quantised: bool = False) -> float:
        """The timestep of a sigma; `quantised`: the nearest whole one."""

    def t_to_sigma(self, timesteps: Tensor) -> Tensor:
        """The sigmas of timesteps, which need not be whole."""

    def uniform(self, steps: int) -> Tensor:
        """Sigmas at timesteps evenly spread from the last to the first, without the final zero."""


class NoiseLevels:
    """k-diffusion's discrete schedule: sigma = s/a of `a·x0 + s·noise`, by timestep and between timesteps.

    `alphas_cumprod` are `a²` of each timestep. `velocity`: the UNet predicts v (arXiv 2202.00512), else the
    noise. `sdxl`: Align Your Steps has a table of its own for SDXL.

    Sigmas are in single precision, by k-diffusion's very operations: a Brownian tree gives other numbers for
    a sigma that is off by a millionth.
    """

    def __init__(self, alphas_cumprod: Tensor, *, velocity: bool = False, sdxl: bool = False) -> None:
        self.alphas_cumprod = alphas_cumprod.float()
        self.velocity = velocity
        self.sdxl = sdxl
        self.sigmas = ((1 - self.alphas_cumprod) / self.alphas_cumprod) ** 0.5
        self._log_sigmas = self.sigmas.log()
        self._kept: list[float] = self.alphas_cumprod.tolist()

    @classmethod
    def of_family(cls, config: Mapping[str, Any], *, sdxl: bool = False) -> NoiseLevels:
        """Those of a family's scheduler_config.json: betas, prediction type, zero terminal SNR."""
        kept = (1 - _betas(config)).cumprod(0)
        if config.get("rescale_betas_zero_snr"):
            kept = _without_signal_at_the_end(kept)
        return cls(kept, velocity=config.get("prediction_type") == "v_prediction", sdxl=sdxl)

    @property
    def sigma_min(self) -> float:
        """The least sigma of training."""
        return float(self.sigmas[0])

    @property
    def sigma_max(self) -> float:
        """The greatest sigma of training."""
        return float(self.sigmas[-1])

    @property
    def last_timestep(self) -> int:
        """The timestep of the most noise."""
        return len(self.sigmas) - 1

    def sigma_to_t(self, sigma: float, *, quantised: bool = False) -> float:
        """The timestep of a sigma: between two by the logarithm, or `quantised` the nearest whole one."""
        log_sigma = torch.tensor(float(sigma)).log()
        if quantised:
            return float((log_sigma - self._log_sigmas).abs().argmin())
        low = int(torch.searchsorted(self._log_sigmas, log_sigma, right=True)) - 1
        low = min(max(low, 0), self.last_timestep - 1)
        below, above = self._log_sigmas[low], self._log_sigmas[low + 1]
        w = ((below - log_sigma) / (below - above)).clamp(0, 1)
        return float((1 - w) * low + w * (low + 1))

    def t_to_sigma(self, timesteps: Tensor) -> Tensor:
        """The sigmas of timesteps, which need not be whole."""
        t = timesteps.float().clamp(0, self.last_timestep)
        w = t.frac()
        low, high = self._log_sigmas[t.floor().long()], self._log_sigmas[t.ceil().long()]
        return ((1 - w) * low + w * high).exp()

    def kept(self, timestep: float) -> float:
        """The share of the signal, `a²`, at a timestep, of which the fraction is dropped as A1111 does."""
        return self._kept[int(timestep)]

    def uniform(self, steps: int) -> Tensor:
        """Sigmas at timesteps evenly spread from the last to the first, without the final zero."""
        return self.t_to_sigma(torch.linspace(self.last_timestep, 0, steps))


class LcmLevels(NoiseLevels):
    """The 50 levels that LCMs were distilled at (arXiv 2310.04378): each 20th timestep."""

    DISTILLED = 50

    def __init__(self, levels: NoiseLevels) -> None:
        self._stride = len(levels.sigmas) // self.DISTILLED
        super().__init__(
            levels.alphas_cumprod[self._stride - 1 :: self._stride],
            velocity=levels.velocity,
            sdxl=levels.sdxl,
        )

    def sigma_to_t(self, sigma: float, *, quantised: bool = True) -> float:
        """The nearest timestep that was distilled."""
        return super().sigma_to_t(sigma, quantised=quantised) * self._stride + self._stride - 1

    def t_to_sigma(self, timesteps: Tensor) -> Tensor:
        """The sigmas of timesteps of the checkpoint."""
        return super().t_to_sigma((timesteps - (self._stride - 1)) / self._stride)

    def uniform(self, steps: int) -> Tensor:
        """As of all levels, at timesteps of the checkpoint."""
        first, last = self.sigma_to_t(self.sigma_max), self.sigma_to_t(self.sigma_min)
        return self.t_to_sigma(torch.linspace(first, last, steps))


class FlowLevels:
    """Levels of a model that was trained on straight paths, `x = (1 - sigma)·picture + sigma·noise`: sigma is
    the share of noise, from 1 down (rectified flow, arXiv 2209.03003).

    With `shift` more of the steps are spent where there is much noise: `s·t / (1 + (s - 1)·t)` (arXiv
    2403.03206, section 5.3.2). `published` gives the sigmas of so many steps as the family's publisher draws,
    the final zero among them. Timestep n stands for the time (n + 1) / 1000.
    """

    sdxl = False
    _COUNT = 1000

    def __init__(self, shift: float, published: Callable[[int], list[float]]) -> None:
        self._shift = shift
        self.published = published
        self.sigmas = self.t_to_sigma(torch.arange(self._COUNT))

    @property
    def sigma_min(self) -> float:
        """The share of noise at the first timestep."""
        return float(self.sigmas[0])

    @property
    def sigma_max(self) -> float:
        """Noise alone."""
        return float(self.sigmas[-1])

    def sigma_to_t(self, sigma: float, *, quantised: bool = False) -> float:
        """The timestep of a share of noise."""
        timestep = self._COUNT * sigma / (self._shift - (self._shift - 1) * sigma) - 1
        return float(round(timestep)) if quantised else timestep

    def t_to_sigma(self, timesteps: Tensor) -> Tensor:
        """The share of noise at timesteps."""
        time = (timesteps.double() + 1) / self._COUNT
        return (self._shift * time / (1 + (self._shift - 1) * time)).float()

    def uniform(self, steps: int) -> Tensor:
        """Shares at timesteps evenly spread over all of training."""
        return self.t_to_sigma(torch.linspace(self._COUNT - 1, 0, steps))


def _betas(config: Mapping[str, Any]) -> Tensor:
    if config.get("trained_betas") is not None:
        return torch.tensor(config["trained_betas"], dtype=torch.float64)
    start, end = float(config.get("beta_start", 0.00085)), float(config.get("beta_end", 0.012))
    steps = int(config.get("num_train_timesteps", 1000))
    if config.get("beta_schedule", "scaled_linear") == "linear":
        return torch.linspace(start, end, steps, dtype=torch.float64)
    return torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2


def _without_signal_at_the_end(kept: Tensor) -> Tensor:
    """Zero terminal SNR (arXiv 2305.08891, algorithm 1), but for what the last step needs of signal."""
    root = kept.sqrt()
    rescaled = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
    rescaled[-1] = _LEAST_SIGNAL
    return rescaled
