"""Which of an endpoint's replicas serves whom."""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence

from easel.gateway.replicas.backend import Replica
from easel.gateway.replicas.peers import Assignment, Peers

_REMEMBERED_USERS = 10_000


class Routing:
    """Session affinity before least outstanding requests, as load balancers call them."""

    def __init__(self, endpoint: str, peers: Peers) -> None:
        self._endpoint = endpoint
        self._peers = peers
        self._assigned: OrderedDict[str, Assignment] = OrderedDict()
        # How many of them each replica has.
        self._users: Counter[str] = Counter()
        # When Caddy found nobody at an address, on the monotonic clock.
        self._lost: dict[str, float] = {}
        # Requests let through since the replica's last report, which does not count them yet.
        self._sent: dict[str, int] = {}

    def take(self, user: str, ready: Sequence[Replica], *, strict: bool, concurrency: int) -> Replica:
        """One of `ready` (not empty) for `user`: the one they had before, else the least loaded.

        Of several that do as little, each gateway takes the same by rendezvous hashing. `strict` keeps a
        browser on its replica, where its page lives; an API caller whose replica is full goes to an emptier
        one.
        """
        least = min(ready, key=lambda one: (self.demand(one), _rank(user, one.id)))
        assigned = self._before(user)
        before = next((one for one in ready if assigned and one.id == assigned.replica), None)
        if before and (strict or self.demand(before) < max(concurrency, self.demand(least) + 1)):
            least = before
        if assigned is None or assigned.replica != least.id:
            assigned = Assignment(least.id, time.time())
        self._remember(user, assigned)
        return least

    def _remember(self, user: str, assigned: Assignment) -> None:
        before = self._assigned.pop(user, None)
        self._assigned[user] = assigned
        if len(self._assigned) > _REMEMBERED_USERS:
            _, before = self._assigned.popitem(last=False)
        self._users[assigned.replica] += 1
        if before is not None:
            self._users[before.replica] -= 1
            if not self._users[before.replica]:
                del self._users[before.replica]

    def _before(self, user: str) -> Assignment | None:
        here, there = self._assigned.get(user), self._peers.assigned(self._endpoint, user)
        return there if here is None or (there is not None and there.at > here.at) else here

    def users(self, replica: Replica) -> int:
        """How many came to it last."""
        return self._users[replica.id]

    def assigned_since(self, at: float) -> dict[str, Assignment]:
        """What was chosen after a moment (Unix seconds), for the other gateways."""
        return {user: assigned for user, assigned in self._assigned.items() if assigned.at > at}

    def demand(self, replica: Replica) -> int:
        """Pictures that it has to draw, as far as is known now."""
        return (replica.work.demand if replica.work else 0) + self._sent.get(replica.id, 0)

    def sent(self, replica: Replica) -> None:
        """A request that draws goes there."""
        self._sent[replica.id] = self._sent.get(replica.id, 0) + 1

    def lost(self, address: str) -> None:
        """Nobody answered at `address`: it gets no more requests until it answers a poll."""
        self._lost[address] = time.monotonic()

    def missed(self, replica: Replica) -> bool:
        """Whether nobody answered there since its last poll."""
        return replica.answered <= self._lost.get(replica.address or "", -math.inf)

    def looked(self, replicas: Iterable[Replica]) -> None:
        """Every replica has said anew what it does."""
        self._sent.clear()
        self._lost = {one.address: self._lost[one.address] for one in replicas
                      if one.address in self._lost and self.missed(one)}  # fmt: skip


def _rank(user: str, replica: str) -> bytes:
    return hashlib.blake2b(f"{user}\0{replica}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
