"""The normal numbers that torch draws on an NVIDIA card, made on the CPU (A1111's `RNG: NV`).

Philox 4x32-10 is Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). How
torch and cuRAND use it: the seed is the key; a card gives each number a thread of its own, whose counter is
(calls before this one, 0, the number's index, 0); of the four words that come out the first two make one
normal number by Box and Muller's transform (Annals of Mathematical Statistics 29, 1958), sine first.

That is what a card does as long as it has a thread for each number at once: 40,960 on a T4, 270,336 on an
H200. A smaller card goes round again and takes a thread's other words; A1111's NV does not follow it there,
and neither does this.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_WORD = 0xFFFFFFFF
_LOW = np.uint64(_WORD)
_HALF = np.uint64(32)

# cuRAND's constants are single precision: 2**-32, and 2π·2**-32
_UNIT = float(np.float32(2.0**-32))
_TURN = float(np.float32(2.0**-32) * np.float32(2 * math.pi))


def philox4x32(counter: NDArray[np.uint64], key: tuple[int, int]) -> NDArray[np.uint64]:
    """Philox 4x32-10: four rows of counter words, below 2**32, to four rows of random words."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1 = (p1 >> _HALF) ^ c1 ^ np.uint64(k0), p1 & _LOW
        c2, c3 = (p0 >> _HALF) ^ c3 ^ np.uint64(k1), p0 & _LOW
        k0, k1 = (k0 + _KEY_STEPS[0]) & _WORD, (k1 + _KEY_STEPS[1]) & _WORD
    return np.stack([c0, c1, c2, c3])


class Philox:
    """A card's generator: each `draw` is one call of `torch.randn` there."""

    def __init__(self, seed: int) -> None:
        """Seeds are taken modulo 2**64, as torch casts them."""
        self._key = (seed & _WORD, seed >> 32 & _WORD)
        self._calls = 0

    def draw(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """Normal numbers, in double precision until the end, as A1111 makes them."""
        count = math.prod(shape)
        counter = np.zeros((4, count), np.uint64)
        counter[0] = self._calls
        counter[2] = np.arange(count)
        self._calls += 1
        words = philox4x32(counter, self._key)
        radius = np.sqrt(-2.0 * np.log(words[0] * _UNIT + _UNIT / 2))
        angle = words[1] * _TURN + _TURN / 2
        drawn: NDArray[np.float32] = (radius * np.sin(angle)).astype(np.float32).reshape(shape)
        return drawn
