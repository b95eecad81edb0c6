"""What stands between a method and a UNet: how latents become its input, and its output an answer.

Pure arithmetic. A UNet of Stable Diffusion sees `a·x0 + s·noise` with `a² + s² = 1` and predicts the noise,
or v = `a·noise - s·x0` (arXiv 2202.00512). Guidance, whose weights
sum to one, gives the same on outputs and on answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import sqrt

from torch import Tensor

from easel.studio.engine.sampling.ask import Answer, Ask
from easel.studio.engine.sampling.levels import FlowLevels, LcmLevels, Levels, NoiseLevels


class Denoiser(ABC):
    """The two ways between latents at a level and a UNet."""

    @abstractmethod
    def on(self, levels: Levels) -> Denoiser:
        """The same for another checkpoint: a refiner's. Raises TypeError for levels of another kind."""

    @abstractmethod
    def timestep(self, level: float) -> float:
        """The timestep that the UNet is told; between whole ones for some samplers."""

    @abstractmethod
    def unet_input(self, ask: Ask) -> Tensor:
        """What the UNet is shown."""

    @abstractmethod
    def prediction(self, ask: Ask, output: Tensor) -> Tensor:
        """What the method wants to know, of a UNet's output for `ask` (float32)."""

    @abstractmethod
    def estimate(self, ask: Ask, answer: Answer) -> Tensor:
        """The finished latents as they look by an answer: for previews, and for whoever stops here."""

    def answer(self, ask: Ask, guided: Tensor, unguided: Tensor) -> Answer:
        """The answer of a UNet's output, guided and by the negative prompt alone."""
        seen = self.prediction(ask, guided)
        return Answer(seen, seen if unguided is guided else self.prediction(ask, unguided))


class SigmaDenoiser(Denoiser):
    """For latents `x0 + sigma·noise`: k-diffusion's CompVisDenoiser and CompVisVDenoiser."""

    def __init__(self, levels: NoiseLevels, *, quantised: bool = False) -> None:
        self._levels = levels
        self._quantised = quantised

    def on(self, levels: Levels) -> SigmaDenoiser:
        """With the levels of another checkpoint."""
        return SigmaDenoiser(_of_unet(levels), quantised=self._quantised)

    def timestep(self, level: float) -> float:
        """By the sigma; whole with A1111's `enable_quantization`."""
        return self._levels.sigma_to_t(level, quantised=self._quantised)

    def unet_input(self, ask: Ask) -> Tensor:
        """Scaled to unit variance."""
        return ask.latents / sqrt(1 + ask.level**2)

    def prediction(self, ask: Ask, output: Tensor) -> Tensor:
        """The denoised latents."""
        x, sigma = ask
        if self._levels.velocity:
            return x / (1 + sigma**2) - output * (sigma / sqrt(1 + sigma**2))
        return x - sigma * output

    def estimate(self, ask: Ask, answer: Answer) -> Tensor:
        """The answer itself."""
        return answer.guided


class LcmDenoiser(SigmaDenoiser):
    """For latent consistency models: their boundary condition (arXiv 2310.04378)."""

    _SIGMA_DATA = 0.5
    _TIMESTEP_SCALING = 10.0

    def __init__(self, levels: LcmLevels) -> None:
        super().__init__(levels, quantised=True)

    def on(self, levels: Levels) -> LcmDenoiser:
        """With the levels of another checkpoint."""
        return LcmDenoiser(LcmLevels(_of_unet(levels)))

    def prediction(self, ask: Ask, output: Tensor) -> Tensor:
        """The denoised latents, by a hair drawn to the noisy ones near timestep zero."""
        scaled = self.timestep(ask.level) * self._TIMESTEP_SCALING
        total = scaled**2 + self._SIGMA_DATA**2
        denoised = super().prediction(ask, output)
        return denoised * (scaled / sqrt(total)) + ask.latents * (self._SIGMA_DATA**2 / total)


class TimestepDenoiser(Denoiser):
    """For latents `a·x0 + s·noise`: A1111's CompVisTimestepsDenoiser and CompVisTimestepsVDenoiser."""

    def __init__(self, levels: NoiseLevels) -> None:
        self._levels = levels

    def on(self, levels: Levels) -> TimestepDenoiser:
        """With the levels of another checkpoint."""
        return TimestepDenoiser(_of_unet(levels))

    def timestep(self, level: float) -> float:
        """The level itself; UniPC's lie between whole ones."""
        return level

    def unet_input(self, ask: Ask) -> Tensor:
        """The latents as they are."""
        return ask.latents

    def prediction(self, ask: Ask, output: Tensor) -> Tensor:
        """The noise."""
        if not self._levels.velocity:
            return output
        kept = self._levels.kept(ask.level)
        return sqrt(kept) * output + sqrt(1 - kept) * ask.latents

    def estimate(self, ask: Ask, answer: Answer) -> Tensor:
        """DDIM's predicted x0 (arXiv 2010.02502, equation 9)."""
        kept = self._levels.kept(ask.level)
        return (ask.latents - sqrt(1 - kept) * answer.guided) / sqrt(kept)


class FlowDenoiser(Denoiser):
    """For latents `(1 - sigma)·x0 + sigma·noise`, of a model that answers with the velocity, `noise - x0`."""

    _TIMESTEPS = 1000

    def on(self, levels: Levels) -> FlowDenoiser:
        """The same: nothing in it is of one checkpoint."""
        if not isinstance(levels, FlowLevels):
            raise TypeError("a flow cannot go on with a model that predicts noise")
        return self

    def timestep(self, level: float) -> float:
        """A thousand times the share of noise."""
        return level * self._TIMESTEPS

    def unet_input(self, ask: Ask) -> Tensor:
        """The latents as they are."""
        return ask.latents

    def prediction(self, ask: Ask, output: Tensor) -> Tensor:
        """The denoised latents: back along the straight line."""
        return ask.latents - ask.level * output

    def estimate(self, ask: Ask, answer: Answer) -> Tensor:
        """The answer itself."""
        return answer.guided


def _of_unet(levels: Levels) -> NoiseLevels:
    if not isinstance(levels, NoiseLevels):
        raise TypeError("a model that predicts noise cannot go on with a flow")
    return levels
