"""Whose turn it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from easel.studio.engine.queue.fair_share import FairShare
from easel.studio.engine.widths.batch_width import BUCKETS, LONGEST, SAMPLES, WARM_UP, BatchWidth


@dataclass(eq=False)
class Waiting:
    """A picture as far as turns are concerned."""

    owner: str
    kind: Hashable = "k"
    cost: int = 1


def give_turns(pictures: list[Waiting], rounds: int, width: int) -> Counter[str]:
    """Run the choice as the loop does and count the steps each owner got."""
    turns, served = FairShare(), Counter[str]()
    for _ in range(rounds):
        chosen = turns.choose(pictures, lambda _kind, available: min(width, available))
        for picture in chosen:
            served[picture.owner] += picture.cost
            pictures.remove(picture)
            pictures.append(picture)
    return served


def test_many_pictures_buy_no_larger_share() -> None:
    """One picture beside another person's hundred is stepped as often as all of theirs together."""
    served = give_turns([Waiting("crowd") for _ in range(100)] + [Waiting("single")], rounds=100, width=1)
    assert abs(served["crowd"] - served["single"]) <= 1


def test_pictures_of_one_owner_take_turns() -> None:
    """Within an owner the oldest turn goes first, so that no picture starves."""
    mine = [Waiting("ada") for _ in range(5)]
    turns, order, served = FairShare(), list(mine), Counter[int]()
    for _ in range(10):
        for picture in turns.choose(order, lambda _kind, available: min(2, available)):
            served[mine.index(picture)] += 1
            order.remove(picture)
            order.append(picture)
    assert set(served.values()) == {4}


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.integers(1, 4)), min_size=1, max_size=20
    ),
    st.integers(1, 8),
)
def test_a_call_is_of_one_kind_without_repeats(rows: list[tuple[str, str, int]], width: int) -> None:
    """A UNet call takes pictures of one kind only, each once, and no more than the bucket."""
    pictures = [Waiting(*row) for row in rows]
    chosen = FairShare().choose(pictures, lambda _kind, available: min(width, available))
    assert 1 <= len(chosen) <= width
    assert len({id(picture) for picture in chosen}) == len(chosen)
    assert len({picture.kind for picture in chosen}) == 1


def test_nobody_nothing() -> None:
    """Without pictures there is no call."""
    assert FairShare().choose([], lambda _kind, _available: 1) == []


def measure(width: BatchWidth, tenths: dict[int, float]) -> None:
    """Let eight pictures draw until the width has settled; a call of each size takes so many tenths of a
    second."""
    for _ in range(len(BUCKETS) * (SAMPLES + WARM_UP) + 1):
        size = width.bucket("k", 8)
        width.record("k", size, tenths[size] / 10)


def test_a_device_with_room_gets_wide_calls() -> None:
    """Eight for less than the price of two: the width goes all the way up."""
    width = BatchWidth()
    measure(width, {1: 1.0, 2: 1.1, 4: 1.3, 8: 1.6})
    assert width.bucket("k", 8) == 8


def test_a_full_device_gets_single_calls() -> None:
    """Where twice the pictures take nearly twice as long, taking turns wins."""
    width = BatchWidth()
    measure(width, {1: 1.0, 2: 1.9, 4: 3.8, 8: 7.6})
    assert width.bucket("k", 8) == 1


def test_width_stops_where_the_gain_stops() -> None:
    """A gain up to four pictures does not pay for eight."""
    width = BatchWidth()
    measure(width, {1: 1.0, 2: 1.2, 4: 1.8, 8: 3.5})
    assert width.bucket("k", 8) == 4


def test_one_noisy_call_decides_nothing() -> None:
    """A neighbour that steals the processor for a call must not make the width narrow for ever."""
    width = BatchWidth()
    for size, good in {1: 0.1, 2: 0.11}.items():
        for seconds in (0.9, 0.9, good, good):
            width.record("k", size, seconds)
    assert width.limit("k") >= 2


def test_out_of_memory_lowers_the_ceiling() -> None:
    """A width that did not fit is not tried again."""
    width = BatchWidth()
    width.out_of_memory("k", 4)
    measure(width, {1: 1.0, 2: 1.1, 4: 1.2, 8: 1.3})
    assert width.bucket("k", 8) == 2


@given(st.integers(1, 100))
def test_no_wider_than_there_are_pictures(available: int) -> None:
    """A bucket never asks for pictures that are not there."""
    assert BatchWidth().bucket("k", available) in BUCKETS
    assert BatchWidth().bucket("k", available) <= available


def test_a_call_that_others_would_wait_long_for_is_not_widened() -> None:
    """However much it gains: two pictures of 0.7 s each are not even tried in one call, which cannot be left
    half-way."""
    width = BatchWidth()
    tried = set()
    for _ in range(100):
        tried.add(size := width.bucket("k", 8))
        width.record("k", size, {1: 0.7, 2: 0.71, 4: 0.72, 8: 0.73}[size])
    assert tried == {1}


@given(st.floats(0.001, 5), st.floats(0, 1))
def test_no_wide_call_takes_longer_than_its_bound(single: float, gain: float) -> None:
    """Once measured, a call for several pictures keeps to the second, whatever a device gains by width."""
    width = BatchWidth()

    def takes(size: int) -> float:
        return single * (1 + (size - 1) * (1 - gain))

    for _ in range(60):
        size = width.bucket("k", 8)
        width.record("k", size, takes(size))
    assert size == 1 or takes(size) <= LONGEST


class Arrivals:
    """A loop that runs for ever, while people come and go."""

    def __init__(self) -> None:
        self.turns, self.pictures = FairShare(), list[Waiting]()

    def call(self, width: int) -> list[Waiting]:
        chosen = self.turns.choose(self.pictures, lambda _kind, available: min(width, available))
        for picture in chosen:
            self.pictures.remove(picture)
            self.pictures.append(picture)
        return chosen


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.integers(1, 3), st.integers(1, 10_000), st.integers(1, 3)),
        min_size=1,
        max_size=30,
    ),
    st.integers(1, 8),
    st.integers(4, 30),
)
def test_a_newcomer_goes_next(rows: list[tuple[str, int, int, int]], width: int, calls: int) -> None:
    """Whoever draws, however much, for however long: the next call is the newcomer's, not one after it."""
    loop = Arrivals()
    for owner, kind, cost, count in rows:
        loop.pictures += [Waiting(owner, kind, cost) for _ in range(count)]
    for _ in range(calls):
        loop.call(width)
    newcomer = Waiting("newcomer", "its own", 1)
    loop.pictures.append(newcomer)
    assert newcomer in loop.call(width)


@given(st.integers(1, 1000), st.integers(1, 20))
def test_coming_again_and_again_gets_nobody_ahead(cost: int, width: int) -> None:
    """One picture of one step after the other, each handed in when the one before is done, is no way past
    those who wait: their share stays the same."""
    loop, patient = Arrivals(), Waiting("patient", "p", 10)
    loop.pictures.append(patient)
    served = Counter[str]()
    for _ in range(200):
        if not any(picture.owner == "pushing" for picture in loop.pictures):
            loop.pictures.append(Waiting("pushing", "q", cost))
        for picture in loop.call(width):
            served[picture.owner] += picture.cost
            if picture.owner == "pushing":
                loop.pictures.remove(picture)
    assert abs(served["pushing"] - served["patient"]) <= cost + 10
