"""When a job begins and when it is there, by what is measured of the device and by fair shares.

Everybody who has work gets the same share of the device, and each person's own jobs are drawn in their order.
So while `x` seconds of somebody's own work are done, everybody else gets as much, or all that they have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PersonsWork:
    """What one person has to be drawn: seconds of the device, and pictures."""

    seconds: float
    pictures: int


@dataclass(frozen=True)
class Ahead:
    """What is drawn before a job begins: pictures, and how many other people's are among them."""

    pictures: int
    people: int


def by_person(left: Iterable[tuple[str, float | None, int]]) -> dict[str, PersonsWork]:
    """What each person has, of jobs by owner, seconds and pictures. Seconds that nobody knows are none."""
    found: dict[str, PersonsWork] = {}
    for owner, seconds, pictures in left:
        before = found.get(owner, PersonsWork(0.0, 0))
        found[owner] = PersonsWork(before.seconds + (seconds or 0.0), before.pictures + pictures)
    return found


def time_for(own: float, others: Sequence[PersonsWork]) -> float:
    """Seconds until `own` seconds of the device were this person's."""
    return own + sum(min(own, other.seconds) for other in others)


def ahead_of(own: PersonsWork, others: Sequence[PersonsWork]) -> Ahead:
    """What is drawn before somebody's job begins, who has `own` before it. Who has nothing before it begins
    next, whatever the others have."""
    pictures, people = own.pictures, 0
    for other in others:
        share = min(1.0, own.seconds / other.seconds) if other.seconds else 0.0
        count = min(round(other.pictures * share), own.pictures if not own.seconds else other.pictures)
        pictures += count
        people += bool(count)
    return Ahead(pictures, people)
