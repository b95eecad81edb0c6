"""What each person has had of the device, and where who comes and who leaves stand.

Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996), its tags kept by owner.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet


class Accounts:
    """Work by owner: of those who are there at the moment, and of those who left with more than the
    others."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = {}

    def __getitem__(self, owner: str) -> float:
        """What the owner has had, in the unit that is charged."""
        return self._spent[owner]

    def charge(self, owner: str, work: float) -> None:
        """Work was done for one who is there."""
        self._spent[owner] += work

    def settle(self, owners: AbstractSet[str]) -> set[str]:
        """These are there now; says who came.

        Who comes starts level with the least served, with neither credit nor debt. Who left and comes again
        starts where they left, if that is more: asking for one picture after the other gets nobody ahead of
        those who wait.
        """
        floor = min((spent for owner, spent in self._spent.items() if owner in owners), default=None)
        if floor is None:  # nobody of those is still here: there is nothing to be level with
            self._spent.clear()
            floor = 0.0
        self._spent = {
            owner: spent for owner, spent in self._spent.items() if owner in owners or spent > floor
        }
        came = set(owners - self._spent.keys())
        self._spent |= dict.fromkeys(came, floor)
        return came
