"""When a job begins and when it is there, by what is measured of the device and by fair shares.

Everybody who has work gets the same share of the device, and each person's own jobs are drawn in their order.
So while `x` of somebody's own work are done, everybody else gets as much, or all that they have. Shares are
counted in the units of `FairShare`, pixels and not seconds: small pictures take longer for a pixel, so beside
a minute of somebody's small ones less than a minute of others' large ones is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PersonsWork:
    """What one person has to be drawn: seconds of the device, pictures, and units of shares; 0 of these where
    nobody counted them: then seconds stand for them."""

    seconds: float
    pictures: int
    units: float = 0.0


@dataclass(frozen=True)
class Ahead:
    """What is drawn before a job begins: pictures, and how many other people's are among them."""

    pictures: int
    people: int


def by_person(left: Iterable[tuple[str, float | None, int, float]]) -> dict[str, PersonsWork]:
    """What each person has, of jobs by owner, seconds, pictures and units. Of seconds that nobody knows there
    are none, nor their units."""
    found: dict[str, PersonsWork] = {}
    for owner, seconds, pictures, units in left:
        before = found.get(owner, PersonsWork(0.0, 0))
        found[owner] = PersonsWork(
            before.seconds + (seconds or 0.0),
            before.pictures + pictures,
            before.units + (units if seconds is not None else 0.0),
        )
    return found


def time_for(own: float, others: Sequence[PersonsWork], units: float = 0.0) -> float:
    """Seconds until `own` seconds of the device, which are `units` of shares, were this person's."""
    return own + sum(_share(own, units, other) * other.seconds for other in others)


def _share(seconds: float, units: float, other: PersonsWork) -> float:
    """How much of another's work is done beside somebody's: 0 to 1."""
    mine, theirs = (units, other.units) if units and other.units else (seconds, other.seconds)
    return min(1.0, mine / theirs) if theirs else 0.0


def ahead_of(own: PersonsWork, others: Sequence[PersonsWork]) -> Ahead:
    """What is drawn before somebody's job begins, who has `own` before it. Who has nothing before it begins
    next, whatever the others have."""
    pictures, people = own.pictures, 0
    for other in others:
        share = _share(own.seconds, own.units, other)
        count = min(round(other.pictures * share), own.pictures if not own.seconds else other.pictures)
        pictures += count
        people += bool(count)
    return Ahead(pictures, people)
