"""Whose turn it is: every picture under way, and the fair choice of those for the next piece of work.

Fair means by owner: each owner's account grows with the work done for them, and the owner with the smallest
account goes first. A person who asks for 400 pictures and one who asks for a single one get the same share
while both draw. Who comes new goes next, so that a newcomer waits for one piece of work and no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar

from easel.studio.engine.queue.accounts import Accounts


class Schedulable(Protocol):
    """What is known of a picture when turns are given out."""

    @property
    def owner(self) -> str:
        """Who asked for it."""

    @property
    def kind(self) -> Hashable:
        """What has to be equal for pictures to share a call."""

    @property
    def cost(self) -> int:
        """The work of the next piece (a UNet call, a stretch of decoding), in latent pixels."""


P = TypeVar("P", bound=Schedulable)


class FairShare:
    """Turns of those who draw at the moment. Who comes goes before those who have had as much."""

    def __init__(self) -> None:
        self._accounts = Accounts()
        self._new: set[str] = set()

    def choose(self, pictures: list[P], bucket: Callable[[Hashable, int], int]) -> list[P]:
        """The pictures for the next call: all of one kind, as many as `bucket(kind, available)` allows.

        Pictures come oldest turn first; the caller moves the chosen ones to the end.
        """
        if not pictures:
            return []
        owners = {picture.owner for picture in pictures}
        self._new = (self._new & owners) | self._accounts.settle(owners)
        lead = min(
            pictures, key=lambda picture: (self._accounts[picture.owner], picture.owner not in self._new)
        )
        candidates = [picture for picture in pictures if picture.kind == lead.kind]
        size = bucket(lead.kind, len(candidates))
        chosen: list[P] = [lead]
        charged = Counter[str]({lead.owner: lead.cost})
        while len(chosen) < size:
            picture = min(
                (candidate for candidate in candidates if candidate not in chosen),
                key=lambda candidate: self._accounts[candidate.owner] + charged[candidate.owner],
            )
            chosen.append(picture)
            charged[picture.owner] += picture.cost
        for owner, cost in charged.items():
            self._accounts.charge(owner, cost)
            self._new.discard(owner)
        return chosen
