"""Replicas as pods of one Deployment per endpoint; see `Backend` for what the verbs promise.

How many there are decides the cluster's autoscaler, by the fleet's signal; here pods are seen, asked and
marked.
"""

from __future__ import annotations

from easel.gateway.config import Endpoint
from easel.gateway.errors import ConfigError
from easel.gateway.events import Events
from easel.gateway.kubernetes import KubernetesError
from easel.gateway.replicas import ContainerProbe, OpenRequests, Replica, ReplicaTimeouts, Vouch
from easel.gateway.replicas.kubernetes.fuse import Fuse
from easel.gateway.replicas.kubernetes.namespace import Namespace
from easel.gateway.replicas.kubernetes.studio_deployment import StudioDeployment

_MOST_LINES = 10_000
# A container that fails is started again by the kubelet.
PODS = ReplicaTimeouts(backoff_limit=3)


class KubernetesBackend:
    """Watches pods and tells the autoscaler; starts and ends none itself, but what is to end now.

    `fuse` says what may not run for its price; without one everything may.
    """

    def __init__(
        self, namespace: Namespace, events: Events, *, open_requests: OpenRequests | None = None,
        timeouts: ReplicaTimeouts = PODS, vouch: Vouch | None = None, fuse: Fuse | None = None,
    ) -> None:  # fmt: skip
        self.events = events
        self.autoscaler = self
        self._namespace = namespace
        self._timeouts = timeouts
        self._fuse = fuse
        self._probe = ContainerProbe(open_requests or OpenRequests(), timeouts.probe, vouch)
        self._deployments: dict[str, StudioDeployment] = {}

    async def follow(self, endpoint: Endpoint) -> None:
        """Know the endpoint. Raises ConfigError if it names no Deployment."""
        if endpoint.deployment is None:
            raise ConfigError(
                f"config/{endpoint.name}.json: deployment is missing: `pulumi up` writes it; "
                "or set runs_on to local in config/team.json"
            )
        known = self._deployments.get(endpoint.name)
        if known is not None:
            await known.follow(endpoint)
            return
        self._deployments[endpoint.name] = StudioDeployment(
            endpoint, namespace=self._namespace, probe=self._probe, events=self.events,
            timeouts=self._timeouts, fuse=self._fuse,
        )  # fmt: skip

    async def forget(self, endpoint: str) -> None:
        """The endpoint is no more: its autoscaler is told to have none."""
        if known := self._deployments.get(endpoint):
            await known.remove()

    async def replicas(self, endpoint: str) -> list[Replica]:
        """The endpoint's pods, as the watch shows them; containers asked just now."""
        if self._fuse is not None:
            await self._fuse.look()
        known = self._deployments.get(endpoint)
        return await known.look() if known else []

    async def set_capacity(self, endpoint: str, count: int) -> None:
        """A floor in the signal, which stays until that many are drained."""
        await self.replicas(endpoint)
        await self._deployments[endpoint].set_capacity(count)

    async def drain(self, endpoint: str, replica: str) -> None:
        """Let it finish, and be the first to go."""
        if known := self._deployments.get(endpoint):
            await known.drain(replica)

    async def stop(self, endpoint: str, replica: str) -> None:
        """Delete its pod."""
        if known := self._deployments.get(endpoint):
            await known.stop(replica)

    async def revive(self, endpoint: str) -> None:
        """Have new pods in the place of those that Kubernetes waits with."""
        if known := self._deployments.get(endpoint):
            await known.revive()

    async def logs(self, endpoint: str, replica: str, tail: int) -> str:
        """The last lines of the pod's container."""
        known = self._deployments.get(endpoint)
        try:
            return await known.logs(replica, min(tail, _MOST_LINES)) if known else ""
        except KubernetesError as error:
            return "" if error.kind == "missing" else f"({error})\n"

    async def close(self) -> None:
        """Look no more. Pods stay as they are: the other gateways see to them."""
        for known in self._deployments.values():
            known.close()
        if self._fuse is not None:
            await self._fuse.close()
        await self._namespace.close()
        await self._probe.close()

    # ── the autoscaler ───────────────────────────────────────────────────────────────────────────

    def resting(self, endpoint: str) -> str:
        """Why it rests, where that is not for want of work."""
        known = self._deployments.get(endpoint)
        return known.resting if known else ""

    def paused(self, endpoint: str) -> bool:
        """Whether it was put to sleep by hand, at whichever gateway, or by the fuse."""
        known = self._deployments.get(endpoint)
        return known is not None and known.paused

    async def pause(self, endpoint: str) -> None:
        """Have none until somebody asks."""
        if known := self._deployments.get(endpoint):
            await known.pause()

    async def resume(self, endpoint: str) -> None:
        """Follow the signal again."""
        if known := self._deployments.get(endpoint):
            await known.resume()

    def expect(self, endpoint: str, needed: bool) -> None:
        """Whether somebody waits for a first replica."""
        if known := self._deployments.get(endpoint):
            known.expect(needed)

    def floor(self, endpoint: str) -> int:
        """Replicas that the signal has to be enough for."""
        known = self._deployments.get(endpoint)
        return known.floor() if known else 0
