"""Which bytes of a file are there, which are being fetched, and which to fetch next."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

LEAST_PIECE = 1 << 20
MOST_PIECE = 64 << 20


class Ranges:
    """A set of byte offsets, as sorted half-open ranges that do not touch."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._ranges: list[tuple[int, int]] = []
        for begin, end in ranges:
            self.add(begin, end)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._ranges)

    def add(self, begin: int, end: int) -> None:
        """Put `begin` to `end` in; what was in already stays."""
        if begin >= end:
            return
        first = bisect_left(self._ranges, begin, key=lambda each: each[1])
        last = first
        while last < len(self._ranges) and self._ranges[last][0] <= end:
            begin, end = min(begin, self._ranges[last][0]), max(end, self._ranges[last][1])
            last += 1
        self._ranges[first:last] = [(begin, end)]

    @property
    def total(self) -> int:
        """How many bytes are in."""
        return sum(end - begin for begin, end in self._ranges)

    @property
    def prefix(self) -> int:
        """How many bytes are in from the very first on."""
        return self._ranges[0][1] if self._ranges and self._ranges[0][0] == 0 else 0

    @property
    def end(self) -> int:
        """One past the last byte that is in."""
        return self._ranges[-1][1] if self._ranges else 0

    def missing(self, size: int) -> Iterator[tuple[int, int]]:
        """The gaps below `size`."""
        position = 0
        for begin, end in self._ranges:
            if begin >= size:
                break
            if begin > position:
                yield position, begin
            position = end
        if position < size:
            yield position, size


def next_piece(
    done: Ranges, taken: Iterable[tuple[int, int]], size: int, connections: int
) -> tuple[int, int] | None:
    """The first bytes that nobody has or fetches.

    Pieces are large while much is missing, for each costs a round trip, and small at the end, so that all
    connections end together. They are taken from the front, so that the hash can follow.
    """
    busy = Ranges(done)
    for begin, end in taken:
        busy.add(begin, end)
    gaps = list(busy.missing(size))
    if not gaps:
        return None
    left = sum(end - begin for begin, end in gaps)
    length = min(MOST_PIECE, max(LEAST_PIECE, left // (2 * connections)))
    begin, end = gaps[0]
    # No crumb is left for a request of its own.
    return begin, end if end - begin < length + LEAST_PIECE // 2 else begin + length
