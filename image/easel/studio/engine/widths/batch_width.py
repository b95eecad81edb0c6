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

import time
from collections import deque
from collections.abc import Hashable, Mapping

from easel.studio.engine.widths.kept_widths import KeptWidth, spelled
from easel.studio.engine.widths.width_reason import Why, WidthReason

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
    """The widths worth using, by kind of picture (family, latent size, rows a picture, tokens).

    `kept` is what an earlier life measured, by the kind's spelling.
    """

    def __init__(
        self, buckets: tuple[int, ...] = BUCKETS, kept: Mapping[str, KeptWidth] | None = None
    ) -> None:
        self._buckets = buckets
        self._times: dict[tuple[Hashable, int], deque[float]] = {}
        self._calls: dict[tuple[Hashable, int], int] = {}
        self._turns: dict[Hashable, int] = {}
        self._ceiling: dict[Hashable, int] = {}
        self._ceiling_at: dict[Hashable, float] = {}
        self._kept = dict(kept or {})
        self._seen: set[Hashable] = set()
        self._learned: set[Hashable] = set()

    def limit(self, kind: Hashable) -> int:
        """The widest bucket worth running now, counting one that still has to be measured."""
        return self.reason(kind).width

    def reason(self, kind: Hashable) -> WidthReason:
        """The same, with why it is no wider."""
        self._recall(kind)
        ceiling = self._ceiling.get(kind, self._buckets[-1])
        best = self._buckets[0]
        for wider in self._buckets[1:]:
            if wider > ceiling:
                return WidthReason(best, Why.OUT_OF_MEMORY, wider)
            if not self.measured(kind, best):
                return WidthReason(best, Why.MEASURING)
            if self.measured(kind, wider):
                took = self.seconds(kind, wider)
                if took > LONGEST:
                    return WidthReason(best, Why.TOO_LONG, wider, took)
                gain = (self.seconds(kind, best) / best) / (took / wider)
                if gain < WORTH:
                    return WidthReason(best, Why.NO_GAIN, wider, gain)
            elif (expected := self.seconds(kind, best) * wider / best) > LONGEST:
                # not even tried: without any gain it would take so long
                return WidthReason(best, Why.TOO_LONG, wider, expected)
            best = wider
        if not self.measured(kind, best):
            return WidthReason(best, Why.MEASURING)
        alone = self.seconds(kind, self._buckets[0]) * best / self.seconds(kind, best)
        return WidthReason(best, Why.WIDEST, number=alone)

    def learned(self) -> dict[str, KeptWidth]:
        """What is worth keeping of what was measured since this was asked last, by the kind's spelling."""
        found = {}
        for kind in self._learned:
            if (name := spelled(kind)) is not None:
                found[name] = self._to_keep(kind)
        self._learned.clear()
        return found

    def _to_keep(self, kind: Hashable) -> KeptWidth:
        least = {size: sorted(self._times.get((kind, size), ()))[:SAMPLES] for size in self._buckets}
        ceiling = (self._ceiling[kind], self._ceiling_at[kind]) if kind in self._ceiling else None
        return KeptWidth({size: took for size, took in least.items() if len(took) == SAMPLES}, ceiling)

    def _recall(self, kind: Hashable) -> None:
        """Begin with what an earlier life measured."""
        if kind in self._seen:
            return
        self._seen.add(kind)
        name = spelled(kind) if self._kept else None
        if name is None or name not in self._kept:
            return
        kept = self._kept[name]
        for size, took in kept.seconds.items():
            self._times[kind, size] = deque(took, maxlen=REMEMBERED)
        if kept.ceiling is not None:
            self._ceiling[kind], self._ceiling_at[kind] = kept.ceiling

    def bucket(self, kind: Hashable, available: int) -> int:
        """The bucket to run when `available` pictures of this kind could take part."""
        limit = self.limit(kind)
        return max(size for size in self._buckets if size <= max(1, min(available, limit)))

    def record(self, kind: Hashable, size: int, seconds: float) -> None:
        """One backbone call of `size` pictures took `seconds`."""
        self._recall(kind)
        key = (kind, size)
        self._calls[key] = self._calls.get(key, 0) + 1
        if self._calls[key] > WARM_UP:
            times = self._times.setdefault(key, deque(maxlen=REMEMBERED))
            times.append(seconds)
            if len(times) == SAMPLES:
                self._learned.add(kind)
        turns = self._turns[kind] = self._turns.get(kind, 0) + 1
        if turns % LOOK_AGAIN == 0:
            limit = self.limit(kind)
            for wider in self._buckets:
                if wider > limit:
                    self._times.pop((kind, wider), None)

    def out_of_memory(self, kind: Hashable, size: int) -> None:
        """A call of `size` did not fit the device: stay below from now on."""
        self._recall(kind)
        self._ceiling[kind], self._ceiling_at[kind] = max(1, size // 2), time.time()
        self._learned.add(kind)

    def measured(self, kind: Hashable, size: int) -> bool:
        """Whether enough calls of this size were timed to decide on."""
        self._recall(kind)
        return len(self._times.get((kind, size), ())) >= SAMPLES

    def seconds(self, kind: Hashable, size: int) -> float:
        """The least of the remembered times: noise only ever adds."""
        return min(self._times[kind, size])
