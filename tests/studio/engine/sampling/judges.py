"""What samplers are held against: k-diffusion as PyPI has it, and a UNet whose answers are known.

k-diffusion's package imports what trains models (wandb, clip, kornia). Its `sampling` and `external` alone
are read here, and what they import of torchvision and torchdiffeq, which sampling never calls, is an empty
module.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from easel.studio.engine.sampling.ask import Sampling
from easel.studio.engine.sampling.denoiser import Denoiser
from easel.studio.engine.sampling.levels import NoiseLevels

SHAPE = (1, 4, 8, 8)
_NEVER_CALLED = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchdiffeq")


def k_diffusion() -> tuple[Any, Any]:
    """k-diffusion's modules `sampling` and `external`."""
    if "k_diffusion" not in sys.modules:
        found = importlib.util.find_spec("k_diffusion")
        assert found is not None
        package = ModuleType("k_diffusion")
        package.__path__ = list(found.submodule_search_locations or [])
        sys.modules["k_diffusion"] = package
    with _empty_modules():
        return (
            importlib.import_module("k_diffusion.sampling"),
            importlib.import_module("k_diffusion.external"),
        )


@contextmanager
def _empty_modules() -> Iterator[None]:
    here = {name: sys.modules.get(name) for name in _NEVER_CALLED}
    for name in _NEVER_CALLED:
        module: Any = ModuleType(name)
        module.transforms = module.functional = module.odeint = module
        sys.modules[name] = module
    try:
        yield
    finally:
        for name, module in here.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


class NoiseSource:
    """A picture's noise, one after another; k-diffusion calls it with two sigmas."""

    def __init__(self, seed: int = 7, shape: tuple[int, ...] = SHAPE) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._shape = shape

    def __call__(self, *_: object) -> Tensor:
        return torch.randn(self._shape, generator=self._generator)


@contextmanager
def noise_for(sampling: Any, source: NoiseSource) -> Iterator[None]:
    """What k-diffusion draws by `torch.randn_like` comes from `source`, as A1111 does it."""
    original = sampling.torch
    replaced = {name: getattr(original, name) for name in dir(original)}
    sampling.torch = SimpleNamespace(**{**replaced, "randn_like": lambda x: source()})
    try:
        yield
    finally:
        sampling.torch = original


class SyntheticUNet:
    """Smooth, nonlinear, with channels that mix: a UNet for latents `a·x0 + s·noise` whose data are near ±1.

    Each channel has its own spread, so that no two have the same schedule of changes.
    """

    def __init__(self, levels: NoiseLevels) -> None:
        self._kept = levels.alphas_cumprod
        self._velocity = levels.velocity
        self._mixing = torch.randn(4, 4, generator=torch.Generator().manual_seed(11)) * 0.5
        self._spread = torch.tensor([0.3, 0.6, 0.9, 1.2]).reshape(1, 4, 1, 1)

    def __call__(self, seen: Tensor, timestep: Tensor | float) -> Tensor:
        t = torch.as_tensor(timestep, dtype=torch.float32).reshape(-1, 1, 1, 1)
        low = t.floor().long().clamp(max=len(self._kept) - 1)
        high = (low + 1).clamp(max=len(self._kept) - 1)
        # between timesteps as k-diffusion has it: by the logarithm of sigma
        log_sigma = torch.lerp(
            *(((1 - self._kept[i]) / self._kept[i]).log() / 2 for i in (low, high)), t - low
        )
        sigma = log_sigma.exp()
        a, s = 1 / (1 + sigma**2).sqrt(), sigma / (1 + sigma**2).sqrt()
        x = seen / a
        variance = self._spread**2
        pulled = torch.einsum("ij,bjhw->bihw", self._mixing, x / (1 + sigma**2).sqrt())
        denoised = x * variance / (variance + sigma**2) + torch.tanh(pulled) * sigma / (1 + sigma)
        noise = (x - denoised) / sigma
        return a * noise - s * denoised if self._velocity else noise


def drawn(
    sampling: Sampling, denoiser: Denoiser, unet: Callable[[Tensor, float], Tensor]
) -> tuple[Tensor, int]:
    """Run a method to its end: the finished latents, and how many calls it made."""
    calls = 0
    try:
        ask = next(sampling)
        while True:
            calls += 1
            output = unet(denoiser.unet_input(ask), denoiser.timestep(ask.level))
            ask = sampling.send(denoiser.answer(ask, output, output))
    except StopIteration as end:
        return end.value, calls


def relative_rms(one: Tensor, other: Tensor) -> float:
    """How far one is from the other, in units of the other."""
    return float((one - other).square().mean().sqrt() / other.square().mean().sqrt())
