from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from easel.studio.engine.checkpoints.prediction import predicts_velocity

CPU = torch.device("cpu")


class Ideal:
    """The best answer possible for latents that are Gaussian with this spread, at the last training step."""

    config = SimpleNamespace(in_channels=4, cross_attention_dim=8)
    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self, velocity: bool, spread: float) -> None:
        self._velocity, self._spread = velocity, spread

    def __call__(self, latents: torch.Tensor, step: int, **_: object) -> tuple[torch.Tensor]:
        assert step == 999
        signal, noise = 0.0682, 0.9977
        # Of x = signal·picture + noise·e, with the picture's spread known: the expected picture and e.
        whole = signal**2 * self._spread**2 + noise**2
        picture = latents * signal * self._spread**2 / whole
        error = latents * noise / whole
        return (signal * error - noise * picture,) if self._velocity else (error,)


@pytest.mark.parametrize("spread", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("velocity", [True, False])
def test_an_ideal_unet_is_told(velocity: bool, spread: float) -> None:
    """A perfect model of either kind is told apart, however much its pictures vary.

    A perfect v points along the noise too where pictures vary little, but is tiny: the angle alone would not
    do.
    """
    assert predicts_velocity(Ideal(velocity, spread), CPU) is velocity


def test_a_trained_unet_with_errors_is_told() -> None:
    """Errors of a real model, of the size of a tenth of its answer, change nothing."""

    class Rough(Ideal):
        def __call__(self, latents: torch.Tensor, step: int, **_: object) -> tuple[torch.Tensor]:
            (answer,) = super().__call__(latents, step)
            mean = torch.full_like(answer, 0.3 if self._velocity else 0.0)
            return (answer + mean + 0.1 * torch.randn_like(answer),)

    torch.manual_seed(0)
    assert predicts_velocity(Rough(True, 0.9), CPU) is True
    assert predicts_velocity(Rough(False, 0.9), CPU) is False
