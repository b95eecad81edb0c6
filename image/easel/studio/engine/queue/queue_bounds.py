"""Whether one person may have more waiting, and what they are told where not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from easel.remark import figure, remark
from easel.studio.engine.errors import QueueFull, TooMuchWork
from easel.studio.engine.queue.waiting_times import PersonsWork, ahead_of, time_for

# Seconds. A client that is told more asks again by itself long before.
_LONGEST = 3600


@dataclass(frozen=True)
class Bound:
    """How much of one unit a person may have waiting. `amounts` are what each of their jobs has left of it,
    in their order; `set_by` says where the operator sets `most`, "" where nobody does."""

    unit: str
    amounts: Sequence[float]
    more: float
    most: float
    set_by: str


@dataclass(frozen=True)
class Queue:
    """What a new job would wait for: `own` are the person's jobs in the bounds' order, seconds of the device
    (None while nothing like it was measured) and pictures; `others` what everybody else has."""

    own: Sequence[tuple[float | None, int]]
    others: Sequence[PersonsWork]


def see_that_there_is_room(bounds: Sequence[Bound], queue: Callable[[], Queue], field: str) -> None:
    """Raise QueueFull where one of `bounds` would be passed, with when there will be room and what is before
    the caller, for which alone all that waits (`queue`) is looked at; TooMuchWork, about `field`, where there
    would be none if nothing waited."""
    for one in bounds:
        if one.more > one.most:
            raise TooMuchWork(
                field,
                remark(
                    "too_much_for_a_person",
                    "{more} {unit} are more than the {most} that one person may have waiting; ask for "
                    "less{whose}",
                    about=field,
                    more=figure(one.more, ",.0f"),
                    unit=one.unit,
                    most=figure(one.most, ",g"),
                    whose=_whose(one),
                ),
            )
    for one in bounds:
        waiting = sum(one.amounts)
        if waiting + one.more > one.most:
            found = queue()
            raise QueueFull(
                remark(
                    "too_many_waiting",
                    "you have {have} {unit} waiting, and {more} more would pass the {most} that one "
                    "person may have; {before}wait for some of them, or cancel them{whose}",
                    have=figure(waiting, ",.0f"),
                    unit=one.unit,
                    more=figure(one.more, ",.0f"),
                    most=figure(one.most, ",g"),
                    before=_before(found),
                    whose=_whose(one),
                ),
                retry_after=_room_in(one, waiting + one.more - one.most, found),
            )


def _whose(bound: Bound) -> str:
    if not bound.set_by:
        return ""
    return remark("limit_set_by", "; the operator sets the limit by {setting}", setting=bound.set_by)


def _before(queue: Queue) -> str:
    seconds = [left for left, _ in queue.own]
    known = sum(left for left in seconds if left is not None)
    ahead = ahead_of(PersonsWork(known, sum(pictures for _, pictures in queue.own)), queue.others)
    if ahead.people and None not in seconds:
        return remark(
            "before_of_people",
            "{pictures} pictures of {people} people are before a new one; ",
            pictures=ahead.pictures,
            people=ahead.people + 1,
        )
    return ""


def _room_in(bound: Bound, need: float, queue: Queue) -> float | None:
    """Seconds until `need` of a unit are drawn; None where that cannot be told."""
    seconds = drawn = 0.0
    for amount, (left, _) in zip(bound.amounts, queue.own, strict=True):
        if left is None:
            return None
        seconds, drawn = seconds + left, drawn + amount
        if drawn >= need:
            break
    return min(_LONGEST, math.ceil(max(1.0, time_for(seconds, queue.others))))
