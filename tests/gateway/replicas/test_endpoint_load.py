"""Who asked for an endpoint, and whether they are served: what keeps a cluster from waking it again for a
wish that was fulfilled."""

from __future__ import annotations

import time

from easel.gateway.replicas import Replica, Work
from easel.gateway.replicas.endpoint_load import EndpointLoad

LOADING = Replica("pod", "loading", 0.0)
READY = Replica("pod", "ready", 0.0, work=Work(idle_seconds=5.0))


def test_a_wish_lasts_until_it_is_served() -> None:
    """Asked, not ready: somebody waits. Ready once: nobody does any more, also when the replica goes."""
    load = EndpointLoad(60.0)
    now = time.monotonic()
    assert not load.load([], 0, 900, now).asked
    load.ask()
    assert load.load([], 0, 900, now).asked
    assert load.load([LOADING], 0, 900, now).asked
    assert not load.load([READY], 0, 900, now).asked
    assert not load.load([], 0, 900, now).asked
    load.ask()
    assert load.load([], 0, 900, now).asked


def test_a_wish_ends_with_patience_and_by_hand() -> None:
    """Nobody waits longer than `timeouts.wake`; who puts it to sleep means it."""
    load = EndpointLoad(60.0)
    load.ask()
    assert not load.load([], 0, 900, time.monotonic() + 901).asked
    load.ask()
    load.rest()
    found = load.load([], 0, 900, time.monotonic())
    assert (found.asked, found.active_at) == (False, None)


def test_what_is_started_for_somebody_stays_awake() -> None:
    """A start that takes longer than `idle` is not ended before it is there."""
    load = EndpointLoad(60.0)
    load.ask()
    later = time.monotonic() + 500
    assert load.load([LOADING], 0, 900, later).active_at == later
