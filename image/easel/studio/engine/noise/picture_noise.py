"""The noise of one picture, first and later, in A1111's order of drawing."""

from __future__ import annotations

from typing import Protocol

import torch

from easel.studio.engine.noise.normals import NormalSource, normal_source


class NoiseSettings(Protocol):
    """What of a request decides about noise."""

    @property
    def randn_source(self) -> str:
        """CPU, GPU or NV."""

    @property
    def subseed_strength(self) -> float:
        """How far the first noise goes from the seed's to the subseed's, 0 to 1."""

    @property
    def seed_resize_from_w(self) -> int:
        """Pixels of the picture whose noise lies in the middle of this one's; 0 or less is off."""

    @property
    def seed_resize_from_h(self) -> int:
        """As `seed_resize_from_w`."""

    @property
    def eta_noise_seed_delta(self) -> int:
        """What is added to the seed for later noise."""


class PictureNoise:
    """Draws `first` and then `next` over and over, (1, channels, height, width), float32, on `device`.

    What A1111 1.10 does for one picture of a batch: its pictures never share a generator.
    """

    def __init__(
        self,
        request: NoiseSettings,
        shape: tuple[int, int, int],
        seed: int,
        subseed: int,
        device: torch.device,
    ) -> None:
        """`shape` is that of the latents: channels, rows, columns. `seed` and `subseed` are the picture's."""
        self._request = request
        self._shape = shape
        self._seed = seed
        self._subseed = subseed
        self._device = device
        self._later = self._seeded(seed)

    def first(self) -> torch.Tensor:
        """The noise that the picture begins as. To be called once, before any `next`."""
        request = self._request
        own = self._later.draw(self._shape)
        shape = self._first_shape()
        # of another size the seed's noise begins anew: the picture's own generator draws what lies around it
        noise = own if shape == self._shape else self._seeded(self._seed).draw(shape)
        if request.subseed_strength:
            noise = slerp(request.subseed_strength, noise, self._seeded(self._subseed).draw(shape))
        if shape != self._shape:
            noise = laid_into(own, noise)
        if request.eta_noise_seed_delta:
            self._later = self._seeded(self._seed + request.eta_noise_seed_delta)
        return noise[None].to(self._device)

    def next(self) -> torch.Tensor:
        """The noise of the next step that adds some."""
        return self._later.draw(self._shape)[None].to(self._device)

    def first_of(self, seed: int, shape: tuple[int, ...]) -> torch.Tensor:
        """The first numbers of any seed: what a Brownian tree asks for at each of its nodes."""
        return self._seeded(seed).draw(shape).to(self._device)

    def _first_shape(self) -> tuple[int, int, int]:
        width, height = self._request.seed_resize_from_w, self._request.seed_resize_from_h
        if width <= 0 or height <= 0:
            return self._shape
        return self._shape[0], height // 8, width // 8

    def _seeded(self, seed: int) -> NormalSource:
        return normal_source(self._request.randn_source, seed, self._device)


def slerp(fraction: float, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Spherical interpolation of (channels, rows, columns), column by column: norms are along the rows.

    Shoemake, "Animating rotation with quaternion curves" (1985), to A1111's arithmetic. Where both noises
    are the same (a mean cosine above 0.9995) A1111 draws a straight line with its ends swapped, and pictures
    depend on it.
    """
    cosine = (low / low.norm(dim=1, keepdim=True) * (high / high.norm(dim=1, keepdim=True))).sum(1)
    if cosine.mean() > 0.9995:
        return low * fraction + high * (1 - fraction)
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    from_low = (torch.sin((1 - fraction) * angle) / sine).unsqueeze(1)
    from_high = (torch.sin(fraction * angle) / sine).unsqueeze(1)
    return from_low * low + from_high * high


def laid_into(around: torch.Tensor, middle: torch.Tensor) -> torch.Tensor:
    """`around` with `middle` in its middle, (channels, rows, columns) each; of a larger `middle` its own
    middle. Odd differences fall as A1111's do: the side that is larger loses one more column or row."""
    rows, from_rows = _overlap(around.shape[1], middle.shape[1])
    columns, from_columns = _overlap(around.shape[2], middle.shape[2])
    result = around.clone()
    result[:, rows, columns] = middle[:, from_rows, from_columns]
    return result


def _overlap(target: int, source: int) -> tuple[slice, slice]:
    """Where in the target a centred source comes to lie, and which part of it."""
    gap = (target - source) // 2
    if gap >= 0:
        return slice(gap, gap + source), slice(0, source)
    # rounded down, so that of an odd surplus two more than can be seen are cut
    kept = source + 2 * gap
    return slice(0, kept), slice(-gap, -gap + kept)
