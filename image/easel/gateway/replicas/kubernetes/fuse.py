"""The fuse of a team in a cluster (`budget.stop`): its nodes are counted while they stand, and past the
budget nothing may wake. What that means for an endpoint is `StudioDeployment`'s.

Nodes and not pods: a machine is paid for from its start to its end, whole, whoever has it.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime

from easel.gateway.config import Team
from easel.gateway.events import Events
from easel.gateway.kubernetes import Object
from easel.gateway.replicas import Spending, month_of
from easel.gateway.replicas.kubernetes.namespace import NODE_POOL, NODE_TEAM, NODE_TYPE, Namespace
from easel.remark import remark

_TEAM = "team"


class Fuse:
    """What the team's nodes cost this month, and why nothing may run once that is too much.

    `team` tells the budget and what each type of machine costs an hour; `every`: seconds between two counts.
    """

    def __init__(
        self, namespace: Namespace, events: Events, spending: Spending, team: Callable[[], Team], *,
        every: float = 5.0,
    ) -> None:  # fmt: skip
        self._namespace = namespace
        self._events = events
        self._spending = spending
        self._team = team
        self._every = every
        self._counted_at = float("-inf")
        self._blind = ""
        self.reason = ""
        """Why nothing may run; "" while the budget has room, and without a fuse."""
        self.mark = ""
        """Month and budget that it watches: gateways know by it that they mean the same. "" without one."""

    async def look(self) -> None:
        """Count, where that is due. Called by every endpoint's look."""
        if time.monotonic() - self._counted_at < self._every:
            return
        self._counted_at = time.monotonic()
        now = time.time()
        self.count(now)
        if self._spending.due:
            await asyncio.to_thread(self._spending.save)

    def count(self, now: float) -> None:
        """Add what stands since the last count, and see whether it is too much."""
        team = self._team()
        by_pool: dict[tuple[str, float], list[float]] = defaultdict(list)
        for node in self._namespace.nodes():
            labels = node["metadata"]["labels"]
            if labels.get(NODE_TEAM) == team.team:
                price = _price(team.machines, labels.get(NODE_TYPE, ""))
                by_pool[labels.get(NODE_POOL, ""), price].append(_since(node))
        # A pool's types cost differently; each price has its own row.
        for (pool, price), launched in by_pool.items():
            self._spending.count(f"{pool} at {price:.4f}", price, launched, now)
        budget = team.budget if team.budget and team.budget.stop else None
        before = self.reason
        self.reason = (self._spending.over(budget.monthly, now) or "") if budget else ""
        self.mark = f"{month_of(now)} {budget.monthly:g}" if budget else ""
        self._tell(before, armed=budget is not None)

    async def close(self) -> None:
        """Keep what was counted."""
        await asyncio.to_thread(self._spending.save)

    def _tell(self, before: str, *, armed: bool) -> None:
        if bool(self.reason) != bool(before):
            text = self.reason or remark(
                "budget_room_again", "the budget has room again: who asks wakes what they ask for"
            )
            self._events.add(_TEAM, None, "budget", text)
        blind = self._namespace.nodes_trouble if armed else ""
        if blind and not self._blind:
            words = "machines cannot be counted, so budget.stop stops nothing: {why}"
            self._events.add(_TEAM, None, "budget", remark("budget_blind", words, why=blind))
        self._blind = blind


def _price(machines: Mapping[str, float], kind: str) -> float:
    """Of a type that the file did not know the dearest: too early is better than too late."""
    return machines.get(kind, max(machines.values(), default=0.0))


def _since(node: Object) -> float:
    return datetime.fromisoformat(str(node["metadata"]["creationTimestamp"])).timestamp()
