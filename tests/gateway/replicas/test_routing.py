"""Who gets which replica, at one gateway and at several."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from easel.gateway.replicas import Assignment, PeerEndpoint, Peers, Replica, Work
from easel.gateway.replicas import routing as routing_module
from easel.gateway.replicas.routing import Routing


def ready(*demands: int) -> list[Replica]:
    return [
        Replica(f"pod-{number}", "ready", 0.0, address=f"10.0.0.{number}:7860", work=Work(running=demand))
        for number, demand in enumerate(demands)
    ]


def take(routing: Routing, user: str, replicas: list[Replica], *, strict: bool = True) -> str:
    return routing.take(user, replicas, strict=strict, concurrency=4).id


def test_two_gateways_choose_alike_before_they_have_spoken() -> None:
    """Of several replicas that do as little, both take the same for a person; persons are spread."""
    here, there, replicas = Routing("art", Peers()), Routing("art", Peers()), ready(0, 0, 0, 5)
    chosen = [take(here, f"alice/{number}", replicas) for number in range(300)]
    assert chosen == [take(there, f"alice/{number}", replicas[::-1]) for number in range(300)]
    counts = Counter(chosen)
    assert set(counts) == {"pod-0", "pod-1", "pod-2"}
    assert min(counts.values()) > 60


def test_a_replica_more_moves_few() -> None:
    """Rendezvous: who is new to both goes elsewhere only if that is the added one."""
    before, after = Routing("art", Peers()), Routing("art", Peers())
    moved = 0
    for number in range(300):
        old, new = take(before, f"u{number}", ready(0, 0)), take(after, f"u{number}", ready(0, 0, 0))
        assert new in (old, "pod-2")
        moved += new != old
    assert 60 < moved < 140


def test_each_person_counts_once_where_they_came_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who moves, and who is forgotten for those that came later, is no user of the replica before."""
    monkeypatch.setattr(routing_module, "_REMEMBERED_USERS", 3)
    routing, replicas = Routing("art", Peers()), ready(0, 9)
    for user in ("a", "b", "b", "c"):
        take(routing, user, replicas)
    take(routing, "a", replicas[1:])
    assert [routing.users(one) for one in replicas] == [2, 1]
    take(routing, "d", replicas)
    assert [routing.users(one) for one in replicas] == [2, 1], "b left, d came"
    take(routing, "e", replicas)
    take(routing, "f", replicas)
    assert [routing.users(one) for one in replicas] == [3, 0]


def test_the_last_choice_counts_whoever_made_it() -> None:
    """A person whose requests come by another gateway stays where the first sent them; of two choices the
    later holds at both."""
    peers = Peers()
    here, replicas = Routing("art", peers), ready(3, 0)
    peers.heard("gateway-b", {"art": PeerEndpoint(assigned={"bob": Assignment("pod-0", time.time())})})
    assert take(here, "bob", replicas) == "pod-0"
    assert take(here, "carol", replicas) == "pod-1"
    later = Assignment("pod-0", time.time() + 1)
    peers.heard("gateway-b", {"art": PeerEndpoint(assigned={"carol": later})})
    assert take(here, "carol", replicas) == "pod-0"
    assert here.assigned_since(0.0)["carol"] == later
    assert here.assigned_since(later.at) == {}
    # One that is gone binds nobody; its gateway being gone frees nobody.
    peers.keep([])
    assert take(here, "carol", replicas) == "pod-0"
    assert take(here, "carol", replicas[1:]) == "pod-1"


def test_what_a_gateway_said_counts_while_it_is_there() -> None:
    """Held requests and wishes of all are summed; of one that is gone nothing is left."""
    peers = Peers()
    peers.heard("b", {"art": PeerEndpoint(held=2), "xl": PeerEndpoint(asked=True)})
    peers.heard("c", {"art": PeerEndpoint(held=3)})
    assert (peers.held("art", 0), peers.asked("art"), peers.asked("xl")) == (5, False, True)
    peers.keep(["c"])
    assert (peers.held("art", 0), peers.asked("xl")) == (3, False)


def test_a_request_that_has_come_to_its_replica_is_held_no_more() -> None:
    """A word is older than what replicas say: what they have more since then was held when it was said."""
    peers = Peers()
    assert peers.held("art", 1) == 0
    peers.heard("b", {"art": PeerEndpoint(held=2)})
    assert [peers.held("art", demand) for demand in (1, 2, 3, 9, 0)] == [2, 1, 0, 0, 2]
    assert peers.held("art", 3) == 0
    peers.heard("b", {"art": PeerEndpoint(held=1)})
    assert peers.held("art", 3) == 1, "said anew, with those three at work"
