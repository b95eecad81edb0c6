"""The noise levels a checkpoint was trained at, and the way between them and its timesteps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEAST_SIGNAL = 4.8973451890853435e-08
"""The signal that A1111 leaves at the last step of zero terminal SNR: at zero its sigma would be infinite."""


class NoiseLevels:
    """k-diffusion's discrete schedule: sigma = s/a of `a·x0 + s·noise`, by timestep and between timesteps.

    `alphas_cumprod` are `a²` of each timestep. `velocity`: the UNet predicts v (arXiv 2202.00512), else the noise.
    `sdxl`: Align Your Steps has a table of its own for SDXL.
    """

    def __init__(
        self, alphas_cumprod: NDArray[np.float64], *, velocity: bool = False, sdxl: bool = False
    ) -> None:
        # A1111 keeps them in single precision, and sigmas come of that
        self.alphas_cumprod = np.asarray(alphas_cumprod, dtype=np.float32)
        self.velocity = velocity
        self.sdxl = sdxl
        self.sigmas: NDArray[np.float64] = np.sqrt((1 - self.alphas_cumprod) / self.alphas_cumprod).astype(
            np.float64
        )
        self._log_sigmas = np.log(self.sigmas)
        self._timesteps = np.arange(len(self.sigmas), dtype=np.float64)

    @classmethod
    def of_family(cls, config: Mapping[str, Any], *, sdxl: bool = False) -> NoiseLevels:
        """Those of a family's scheduler_config.json: betas, prediction type, zero terminal SNR."""
        kept = np.cumprod(1 - _betas(config))
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
        if quantised:
            return float(np.abs(self._log_sigmas - np.log(sigma)).argmin())
        return float(np.interp(np.log(sigma), self._log_sigmas, self._timesteps))

    def t_to_sigma(self, timestep: float) -> float:
        """The sigma of a timestep, which need not be whole."""
        return float(np.exp(np.interp(timestep, self._timesteps, self._log_sigmas)))

    def kept(self, timestep: float) -> float:
        """The share of the signal, `a²`, at a timestep, of which the fraction is dropped as A1111 does."""
        return float(self.alphas_cumprod[int(timestep)])

    def uniform(self, steps: int) -> list[float]:
        """Sigmas at timesteps evenly spread from the last to the first, without the final zero."""
        return [self.t_to_sigma(t) for t in np.linspace(self.last_timestep, 0, steps)]


class LcmLevels(NoiseLevels):
    """The 50 levels that latent consistency models were distilled at (arXiv 2310.04378): each 20th timestep."""

    DISTILLED = 50

    def __init__(self, levels: NoiseLevels) -> None:
        self._stride = len(levels.sigmas) // self.DISTILLED
        super().__init__(
            levels.alphas_cumprod[self._stride - 1 :: self._stride].astype(np.float64),
            velocity=levels.velocity,
            sdxl=levels.sdxl,
        )

    def sigma_to_t(self, sigma: float, *, quantised: bool = True) -> float:
        """The nearest timestep that was distilled."""
        return super().sigma_to_t(sigma, quantised=quantised) * self._stride + self._stride - 1

    def t_to_sigma(self, timestep: float) -> float:
        """The sigma of a timestep of the checkpoint."""
        return super().t_to_sigma((timestep - (self._stride - 1)) / self._stride)

    def uniform(self, steps: int) -> list[float]:
        """As of all levels, at timesteps of the checkpoint."""
        first, last = self.sigma_to_t(self.sigma_max), self.sigma_to_t(self.sigma_min)
        return [self.t_to_sigma(t) for t in np.linspace(first, last, steps)]


def _betas(config: Mapping[str, Any]) -> NDArray[np.float64]:
    if config.get("trained_betas") is not None:
        return np.asarray(config["trained_betas"], dtype=np.float64)
    start, end = float(config.get("beta_start", 0.00085)), float(config.get("beta_end", 0.012))
    steps = int(config.get("num_train_timesteps", 1000))
    if config.get("beta_schedule", "scaled_linear") == "linear":
        return np.linspace(start, end, steps)
    betas: NDArray[np.float64] = np.linspace(start**0.5, end**0.5, steps) ** 2
    return betas


def _without_signal_at_the_end(kept: NDArray[np.float64]) -> NDArray[np.float64]:
    """Zero terminal SNR (arXiv 2305.08891, algorithm 1), but for what the last step needs of signal."""
    root = np.sqrt(kept)
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    rescaled = root**2
    rescaled[-1] = _LEAST_SIGNAL
    return rescaled
