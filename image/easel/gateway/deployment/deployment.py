"""What differs between a gateway on a laptop, in the cloud and in a cluster: where configuration, tokens and
the secret are, what a replica is, and how the first token comes about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from easel.gateway.access import Access, End, SecretStore, Token
from easel.gateway.config import Config, Endpoint
from easel.gateway.deployment.inner import Inner
from easel.gateway.disk import RecordList
from easel.gateway.events import Events
from easel.gateway.home import Home
from easel.gateway.replicas import Backend, OpenRequests, Vouch


class Deployment(Protocol):
    """Where a gateway runs."""

    # Whether replicas run on when the gateway ends.
    outlived: bool
    # Seconds that it goes on for who is at its door when it is told to end; 0 where nobody else is there to
    # be sent to meanwhile, or where it is started again at once.
    leaves_within: float

    @property
    def inner(self) -> Inner | None:
        """How a cluster reaches it, where it is one of several gateways."""
        ...

    async def open(self, stop: asyncio.Event) -> None:
        """Have the configuration in EASEL_HOME/config. Raises GatewayError."""
        ...

    def secrets(self) -> SecretStore:
        """Where the secrets are kept that sign."""
        ...

    async def tokens(self) -> RecordList[Token]:
        """Where tokens are kept. Raises GatewayError."""
        ...

    async def ended(self) -> RecordList[End]:
        """Where ended sessions are kept. Raises GatewayError."""
        ...

    async def backend(
        self, vouch: Vouch, config: Callable[[], Config], open_requests: OpenRequests
    ) -> Backend:
        """Who starts replicas, and asks them how they do with what `vouch` signs."""
        ...

    async def welcome(self, config: Config, access: Access) -> None:
        """See that every endpoint and the console have their first token."""
        ...

    async def follow(self, config: Callable[[], Config], access: Access) -> None:
        """Follow what changes elsewhere, until cancelled."""
        ...

    async def close(self) -> None:
        """Everything has ended: drop the connections."""
        ...

    async def sources(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Variables for those that an endpoint's models come from, such as tokens. Raises SyncRefused."""
        ...


def aws_deployment(bucket: str, region: str) -> Callable[[Home, Events], Deployment]:
    """Makes the deployment on AWS of the team whose configuration is in `bucket`."""
    # Only here: what speaks to AWS is not what a laptop needs to open the door.
    from easel.gateway.deployment.aws import AwsDeployment

    return lambda home, events: AwsDeployment(home, events, bucket, region)


def kubernetes_deployment(namespace: str) -> Callable[[Home, Events], Deployment]:
    """Makes the deployment of the team whose objects are in `namespace`."""
    from easel.gateway.deployment.kubernetes import KubernetesDeployment

    return lambda home, events: KubernetesDeployment(home, events, namespace)
