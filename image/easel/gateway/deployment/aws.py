"""A gateway on AWS: configuration, tokens and the secret are objects of the team's bucket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog

from easel.gateway.access import (
    ENDED_KEY,
    TOKENS_KEY,
    Access,
    BucketSecret,
    End,
    SecretStore,
    Token,
    ended_of,
    tokens_of,
)
from easel.gateway.aws import Aws, Bucket, ConfigMirror
from easel.gateway.config import Config, Endpoint
from easel.gateway.deployment.given_links import take_links
from easel.gateway.deployment.source_tokens import source_tokens
from easel.gateway.deployment.telling import Telling, spending_from
from easel.gateway.disk import RecordList
from easel.gateway.errors import GatewayError
from easel.gateway.events import Events
from easel.gateway.home import Home
from easel.gateway.replicas import Backend, OpenRequests, Vouch
from easel.gateway.replicas.aws import InstancesBackend
from easel.remark import remark

_log = structlog.get_logger("easel.instances")
# Seconds between two looks at the bucket while something is awake, and while nothing is: each look costs,
# all month long, and at night a new limit may wait a minute. And for how long a first look may fail: a new
# role, a new network route and a new bucket are known everywhere only after some minutes.
_EVERY = 15.0
_ASLEEP = 60.0
_AT_FIRST = 300.0


class AwsDeployment:
    """One team's bucket in one region."""

    outlived = True
    leaves_within = 0.0
    inner = None

    def __init__(
        self, home: Home, events: Events, bucket: str, region: str, *, every: float = _EVERY,
        asleep: float = _ASLEEP, at_first: float = _AT_FIRST, aws: Aws | None = None,
    ) -> None:  # fmt: skip
        self._home = home
        self._events = events
        self._every = every
        self._asleep = asleep
        self._at_first = at_first
        self._aws = aws or Aws(region)
        self._bucket = Bucket(self._aws, bucket)
        self._telling = Telling(events, "aws")
        self._mirror = ConfigMirror(self._bucket, home.config, self._telling.say)
        self._store = tokens_of(self._bucket)
        self._ended = ended_of(self._bucket)
        self._backend: InstancesBackend | None = None

    async def open(self, stop: asyncio.Event) -> None:
        """Mirror `config/`. Without a single good copy there is nothing to serve: raises GatewayError."""
        deadline = time.monotonic() + self._at_first
        while not await asyncio.to_thread(self._mirror.sync):
            if (self._home.config / "team.json").exists():
                _log.warning(
                    "the bucket cannot be read; starting with the last configuration", why=self._telling.last
                )
                return
            if time.monotonic() >= deadline or stop.is_set():
                why = self._telling.last or f"s3://{self._bucket.name} does not answer"
                raise GatewayError(f"no configuration: {why}")
            await asyncio.wait({asyncio.ensure_future(stop.wait())}, timeout=min(self._every, 5.0))

    def secrets(self) -> SecretStore:
        """`run/secret`."""
        return BucketSecret(self._bucket)

    async def tokens(self) -> RecordList[Token]:
        """`run/tokens.json`."""
        await asyncio.to_thread(self._store.read)
        return self._store

    async def ended(self) -> RecordList[End]:
        """`run/ended.json`."""
        await asyncio.to_thread(self._ended.read)
        return self._ended

    async def backend(
        self, vouch: Vouch, config: Callable[[], Config], open_requests: OpenRequests
    ) -> Backend:
        """Instances, with the fuse."""
        spending = await spending_from(self._bucket, self._telling)
        self._backend = InstancesBackend(
            self._aws, self._events, open_requests=open_requests, spending=spending,
            budget=lambda: config().team.budget, vouch=vouch,
        )  # fmt: skip
        return self._backend

    async def welcome(self, config: Config, access: Access) -> None:
        """Take the first tokens whose hashes the configuration gives."""
        self._telling.once("links", await take_links(config, access, self._events))

    async def follow(self, config: Callable[[], Config], access: Access) -> None:
        """Look at the bucket now and then: configuration, and tokens that another gateway wrote."""
        while True:
            await asyncio.sleep(self.pause())
            try:
                await asyncio.to_thread(self.look)
                self._telling.once("the bucket", "")
            except GatewayError as error:
                self._telling.once("the bucket", _stay_good(error))
            await self.welcome(config(), access)

    async def close(self) -> None:
        """Nothing: the backend had the connections."""

    def pause(self) -> float:
        """Seconds until the next look: more while everything sleeps."""
        awake = self._backend is None or self._backend.awake
        return self._every if awake else self._asleep

    def look(self) -> None:
        """See what changed in the bucket. Blocks. Raises GatewayError, OSError."""
        self._mirror.sync()
        seen = self._mirror.seen
        if seen is None or self._store.changed() != seen.get(TOKENS_KEY, ""):
            self._store.read()
        if seen is None or self._ended.changed() != seen.get(ENDED_KEY, ""):
            self._ended.read()

    async def sources(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Tokens that the endpoint names as secrets. S3 is read by the gateway's own role."""
        return await asyncio.to_thread(source_tokens, endpoint, self._aws.region)


def _stay_good(error: GatewayError) -> str:
    return remark("tokens_stay_good", "{why}; the tokens that are known stay good", why=error)
