"""Bytes of requests' bodies that are in memory, and whose they are: until the answer is out, for what waits
its turn waits with its pictures.

One request has its limit, and somebody can send many at once, or begin them and send no more.
"""

from __future__ import annotations

from collections import Counter

MOST_OF_PERSON = 512 * 1024 * 1024
"""Eight of the largest: what a program of a whole team sends at once, by one token."""
MOST_OF_ALL = 4 * MOST_OF_PERSON


class HeldBodies:
    """Used on one event loop."""

    def __init__(self, *, most_of_person: int = MOST_OF_PERSON, most_of_all: int = MOST_OF_ALL) -> None:
        self._most_of_person, self._most_of_all = most_of_person, most_of_all
        self._of: Counter[str] = Counter()
        self._all = 0

    def take(self, owner: str, size: int) -> bool:
        """Whether `owner` may hold so many bytes more; then they are held."""
        if self._of[owner] + size > self._most_of_person or self._all + size > self._most_of_all:
            return False
        self._of[owner] += size
        self._all += size
        return True

    def give(self, owner: str, size: int) -> None:
        """So many are held no longer."""
        self._all -= size
        self._of[owner] -= size
        if self._of[owner] <= 0:
            del self._of[owner]
