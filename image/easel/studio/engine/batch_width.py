"""How many pictures to put into one backbone call: measured, not guessed.

Batching pays only where the device has room: on a busy large GPU eight pictures take eight times as long as
one (Hugging Face measured +25 % at batch 8 for six times the latency), on a tiny model they take twice as
long. So every call is timed, wider calls are tried when there are pictures for them, and a width that gains
under 15 % a picture over half its size is not used: taking turns gives each picture the same speed, and the
first one sooner.

Nor is one whose call takes longer than `LONGEST`: a call cannot be left half-way, and whoever comes while it
runs waits for all of it. Eight pictures of 2048 pixels in one call made a newcomer wait for half a minute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

BUCKETS = (1, 2, 4, 8)
WORTH = 1.15
LONGEST = 1.0
"""Seconds that a call for more than one picture may take."""
# The first call of a shape pays for kernels and allocation; three more give a floor that noise cannot fake.
WARM_UP = 1
SAMPLES = 3
REMEMBERED = 12
# What was measured beside a noisy neighbour deserves a second look some time.
LOOK_AGAIN = 400


class BatchWidth:
    """The widths worth using, by kind of picture (family, latent size, rows a picture, tokens)."""

    def __init__(self, buckets: tuple[int, ...] = BUCKETS) -> None:
        self._buckets = buckets
        self._times: dict[tuple[Hashable, int], deque[float]] = {}
        self._calls: dict[tuple[Hashable, int], int] = {}
        self._turns: dict[Hashable, int] = {}
        self._ceiling: dict[Hashable, int] = {}

    def limit(self, kind: Hashable) -> int:
        """The widest bucket worth running now, counting one that still has to be measured."""
        ceiling = self._ceiling.get(kind, self._buckets[-1])
        best = self._buckets[0]
        for wider in self._buckets[1:]:
            if wider > ceiling or not self.measured(kind, best):
                return best
            if self.measured(kind, wider):
                took = self.seconds(kind, wider)
                if took > LONGEST or (self.seconds(kind, best) / best) / (took / wider) < WORTH:
                    return best
            elif self.seconds(kind, best) * wider / best > LONGEST:
                return best  # not even tried: without any gain it would take so long
            best = wider
        return best

    def bucket(self, kind: Hashable, available: int) -> int:
        """The bucket to run when `available` pictures of this kind could take part."""
        limit = self.limit(kind)
        return max(size for size in self._buckets if size <= max(1, min(available, limit)))

    def record(self, kind: Hashable, size: int, seconds: float) -> None:
        """One backbone call of `size` pictures took `seconds`."""
        key = (kind, size)
        self._calls[key] = self._calls.get(key, 0) + 1
        if self._calls[key] > WARM_UP:
            self._times.setdefault(key, deque(maxlen=REMEMBERED)).append(seconds)
        turns = self._turns[kind] = self._turns.get(kind, 0) + 1
        if turns % LOOK_AGAIN == 0:
            limit = self.limit(kind)
            for wider in self._buckets:
                if wider > limit:
                    self._times.pop((kind, wider), None)

    def out_of_memory(self, kind: Hashable, size: int) -> None:
        """A call of `size` did not fit the device: stay below from now on."""
        self._ceiling[kind] = max(1, size // 2)

    def measured(self, kind: Hashable, size: int) -> bool:
        """Whether enough calls of this size were timed to decide on."""
        return len(self._times.get((kind, size), ())) >= SAMPLES

    def seconds(self, kind: Hashable, size: int) -> float:
        """The least of the remembered times: noise only ever adds."""
        return min(self._times[kind, size])
