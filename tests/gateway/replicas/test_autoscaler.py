"""How many replicas: `wanted` and what it is fed with."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from easel.gateway.replicas import Load, Scaling, wanted
from easel.gateway.replicas.autoscaler import Peak

counts = some.integers(0, 500)
times = some.floats(0, 1e6)


@some.composite
def scalings(draw: some.DrawFn) -> Scaling:
    least = draw(some.integers(0, 5))
    return Scaling(
        least, least + draw(some.integers(0, 10)), draw(some.floats(1, 1e5)), draw(some.integers(1, 32)), 60.0
    )


@some.composite
def loads(draw: some.DrawFn) -> Load:
    now = draw(counts), draw(counts), draw(counts)
    return Load(*now, recent=sum(now) + draw(counts), active_at=draw(some.none() | times))


@given(loads(), scalings(), times)
def test_stays_between_min_and_max(load: Load, spec: Scaling, now: float) -> None:
    """Never fewer than min, never more than max, whatever happens."""
    assert spec.min <= wanted(load, spec, now) <= spec.max


@given(loads(), scalings(), times)
def test_zero_only_when_min_is_zero_and_idle_has_passed(load: Load, spec: Scaling, now: float) -> None:
    """Nobody's picture and nobody's open page is put to sleep before `idle`."""
    if wanted(load, spec, now) == 0 and spec.max > 0:
        assert spec.min == 0
        assert load.demand == 0
        assert load.active_at is None or now - load.active_at >= spec.idle


@given(loads(), scalings(), times)
def test_whoever_waits_wakes(load: Load, spec: Scaling, now: float) -> None:
    """One waiting request is enough for one replica, if max allows any."""
    if load.waiting and spec.max:
        assert wanted(load, spec, now) >= 1


@given(loads(), scalings(), times, counts, counts, counts)
def test_more_load_never_wants_less(load: Load, spec: Scaling, now: float, a: int, b: int, c: int) -> None:
    """Monotone in running, queued and waiting."""
    more = Load(load.running + a, load.queued + b, load.waiting + c, load.recent + a + b + c, load.active_at)
    assert wanted(more, spec, now) >= wanted(load, spec, now)


@given(loads(), scalings(), times)
def test_asking_wakes_and_time_alone_only_lowers(load: Load, spec: Scaling, now: float) -> None:
    """Activity now is worth at least as much as activity before; waiting longer never adds a replica."""
    active = Load(load.running, load.queued, load.waiting, load.recent, now)
    assert wanted(active, spec, now) >= min(1, spec.max)
    assert wanted(load, spec, now + 1) <= wanted(load, spec, now)


def test_counts_pictures_by_concurrency() -> None:
    """Nine pictures on replicas that draw eight side by side need two."""
    spec = Scaling(0, 5, 900, 8)
    assert wanted(Load(running=8, recent=8, active_at=0), spec, 0) == 1
    assert wanted(Load(running=8, queued=1, recent=9, active_at=0), spec, 0) == 2


def test_a_lull_keeps_its_replicas() -> None:
    """Between two pictures the load is nothing for a moment; the replicas of the peak stay."""
    spec, peak = Scaling(0, 5, 900, 1, lull=60), Peak(60)
    peak.add(3, 0)
    for second in (1, 30, 60):
        assert wanted(Load(recent=peak.add(0, second), active_at=0), spec, second) == 3
    assert wanted(Load(recent=peak.add(0, 61), active_at=0), spec, 61) == 1
    assert wanted(Load(recent=peak.add(0, 900), active_at=0), spec, 900) == 0


@given(some.lists(some.tuples(some.floats(0, 10), some.integers(0, 50)), min_size=1))
def test_peak_is_the_highest_of_the_window(steps: list[tuple[float, int]]) -> None:
    """`Peak` equals the plain maximum over the last seconds."""
    peak, now, seen = Peak(15), 0.0, []
    for step, demand in steps:
        now += step
        seen.append((now, demand))
        assert peak.add(demand, now) == max(d for at, d in seen if now - at <= 15)
