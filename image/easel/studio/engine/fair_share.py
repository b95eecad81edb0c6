"""Whose turn it is: every picture under way, and the fair choice of those for the next piece of work.

Fair means by owner: each owner's account grows with the work done for them, and the owner with the smallest
account goes first. A person who asks for 400 pictures and one who asks for a single one get the same share
while both draw. Who comes new goes next, so that a newcomer waits for one piece of work and no more.

This is start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996), its tags kept by owner.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar


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
    """The accounts of the owners who draw at the moment, and of those who left with more than the others."""

    def __init__(self) -> None:
        self._account: dict[str, float] = {}
        self._new: set[str] = set()

    def choose(self, pictures: list[P], bucket: Callable[[Hashable, int], int]) -> list[P]:
        """The pictures for the next call: all of one kind, as many as `bucket(kind, available)` allows.

        Pictures come oldest turn first; the caller moves the chosen ones to the end.
        """
        if not pictures:
            return []
        self._settle({picture.owner for picture in pictures})
        lead = min(
            pictures, key=lambda picture: (self._account[picture.owner], picture.owner not in self._new)
        )
        candidates = [picture for picture in pictures if picture.kind == lead.kind]
        size = bucket(lead.kind, len(candidates))
        chosen: list[P] = [lead]
        charged = Counter[str]({lead.owner: lead.cost})
        while len(chosen) < size:
            picture = min(
                (candidate for candidate in candidates if candidate not in chosen),
                key=lambda candidate: self._account[candidate.owner] + charged[candidate.owner],
            )
            chosen.append(picture)
            charged[picture.owner] += picture.cost
        for owner, cost in charged.items():
            self._account[owner] += cost
            self._new.discard(owner)
        return chosen

    def _settle(self, owners: set[str]) -> None:
        """Who comes starts level with the least served, with neither credit nor debt, and goes before them.

        Who left and comes again starts where they left, if that is more: asking for one picture after the
        other gets nobody ahead of those who wait.
        """
        floor = min((spent for owner, spent in self._account.items() if owner in owners), default=None)
        if floor is None:  # nobody of those is still here: there is nothing to be level with
            self._account.clear()
            floor = 0.0
        self._account = {
            owner: spent for owner, spent in self._account.items() if owner in owners or spent > floor
        }
        self._new &= owners
        for owner in owners - self._account.keys():
            self._account[owner] = floor
            self._new.add(owner)
