"""A gateway in a cluster: configuration from ConfigMaps, what is secret in Secrets, replicas as pods."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog

from easel.gateway.access import Access, End, SecretStore, Token
from easel.gateway.config import Config, Endpoint
from easel.gateway.deployment.given_links import take_links
from easel.gateway.deployment.inner import Inner
from easel.gateway.deployment.published_keys import ClusterSecret
from easel.gateway.deployment.telling import Telling, spending_from
from easel.gateway.disk import RecordList
from easel.gateway.errors import GatewayError, SyncRefused
from easel.gateway.events import Events
from easel.gateway.home import Home
from easel.gateway.kubernetes import (
    ConfigMapLedger,
    ConfigMapMirror,
    KubernetesApi,
    KubernetesError,
    Lease,
    Object,
    Reflector,
    SecretObject,
)
from easel.gateway.model_sync import SOURCE_TOKENS
from easel.gateway.replicas import Backend, OpenRequests, Vouch
from easel.gateway.replicas.kubernetes import Fuse, KubernetesBackend, Namespace
from easel.remark import remark

_log = structlog.get_logger("easel.kubernetes")
INNER = "EASEL_INNER"
"""`host:port` that the cluster finds this gateway at, in the place of `0.0.0.0:7861`."""
LEAVES_WITHIN = "EASEL_LEAVES_WITHIN"
"""Seconds that it goes on for who is at its door once it was told to end: the pod's grace is for that."""
POD = "POD_NAME"
TOKENS, ENDED, LEASE, SPENT = "easel-tokens", "easel-ended", "easel-model-sync", "easel-spent"
# For how long the first look may fail: a policy, a role and a namespace's objects come within minutes.
_AT_FIRST = 300.0
# Seconds between two looks at what a watch should have told.
_AT_LEAST = 30.0
# Seconds where nobody says for how long: it fits a grace of 120.
_LEAVES_WITHIN = 85.0


class KubernetesDeployment:
    """One team's namespace."""

    outlived = True

    def __init__(
        self, home: Home, events: Events, namespace: str, *, at_first: float = _AT_FIRST,
        environment: Mapping[str, str] = os.environ,
    ) -> None:  # fmt: skip
        self._home = home
        self._events = events
        self._telling = Telling(events, "kubernetes")
        self._at_first = at_first
        self._api = KubernetesApi(namespace)
        self._namespace = Namespace(self._api)
        self.leaves_within = _leaves_within(environment)
        self._mirror = ConfigMapMirror(self._api, home.config, self._telling.say, self._wake)
        self._secret = ClusterSecret(self._api)
        self._tokens: RecordList[Token] = RecordList(
            SecretObject(self._api, TOKENS, "tokens.json"), "tokens", Token
        )
        self._ended: RecordList[End] = RecordList(SecretObject(self._api, ENDED, "ended.json"), "ended", End)
        self._secrets = {
            name: Reflector(self._api, self._api.path("secrets"), single=name, changed=self._changed)
            for name in (TOKENS, ENDED, self._secret.secret)
        }
        self._news = asyncio.Event()
        self._running: list[asyncio.Task[None]] = []
        self.inner = _inner(environment, self._namespace.gateways, self._elect)

    async def open(self, stop: asyncio.Event) -> None:
        """Follow the namespace, and have its configuration. Raises GatewayError."""
        await self._api.open()
        self._namespace.start()
        self._run(self._mirror.reflector.run())
        deadline = time.monotonic() + self._at_first
        while not self._mirror.sync():
            if time.monotonic() >= deadline or stop.is_set():
                raise GatewayError(f"no configuration: {self._mirror.trouble}")
            await asyncio.wait({asyncio.ensure_future(stop.wait())}, timeout=0.2)
        for reflector in self._secrets.values():
            self._run(reflector.run())

    def secrets(self) -> SecretStore:
        """The Secret `easel-secret`; its public keys are the ConfigMap `easel-keys`."""
        return self._secret

    async def tokens(self) -> RecordList[Token]:
        """The Secret `easel-tokens`."""
        await asyncio.to_thread(self._tokens.read)
        return self._tokens

    async def ended(self) -> RecordList[End]:
        """The Secret `easel-ended`."""
        await asyncio.to_thread(self._ended.read)
        return self._ended

    async def backend(
        self, vouch: Vouch, config: Callable[[], Config], open_requests: OpenRequests
    ) -> Backend:
        """Pods."""
        # A gateway that knows no pods yet would say that everything sleeps.
        try:
            await asyncio.wait_for(self._namespace.listed(), self._at_first)
        except TimeoutError:
            raise GatewayError(f"the namespace cannot be seen: {self._namespace.trouble}") from None
        fuse = await self._fuse(config) if config().team.machines else None
        return KubernetesBackend(
            self._namespace, self._events, open_requests=open_requests, vouch=vouch, fuse=fuse
        )

    async def _fuse(self, config: Callable[[], Config]) -> Fuse:
        """Where nodes are bought they are counted, so that a budget that comes later knows the month."""
        spending = await spending_from(ConfigMapLedger(self._api, SPENT), self._telling)
        return Fuse(self._namespace, self._events, spending, lambda: config().team)

    async def welcome(self, config: Config, access: Access) -> None:
        """Take the first tokens whose hashes the configuration gives."""
        self._telling.once("links", await take_links(config, access, self._events))

    async def follow(self, config: Callable[[], Config], access: Access) -> None:
        """Take what watches show: configuration, tokens and sessions that another gateway wrote, secrets."""
        while True:
            self._news.clear()
            self._mirror.sync()
            try:
                await asyncio.to_thread(self._read, access)
            except GatewayError as error:
                text = remark("known_stays_good", "{why}; what is known stays good", why=error)
                self._telling.once("what others wrote", text)
            else:
                self._telling.once("what others wrote", "")
                await self.welcome(config(), access)
            try:
                await asyncio.wait_for(self._news.wait(), _AT_LEAST)
            except TimeoutError:
                continue

    async def close(self) -> None:
        """Follow no more."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._api.close()

    async def sources(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Tokens that the endpoint names as `<secret>/<key>`. Raises SyncRefused."""
        secrets = endpoint.container.secrets if endpoint.container else {}
        return {
            name: await self._secret_value(name, secrets[name]) for name in SOURCE_TOKENS if name in secrets
        }

    async def _secret_value(self, variable: str, place: str) -> str:
        name, _, key = place.partition("/")
        try:
            found = await self._api.get(self._api.path("secrets", name))
        except KubernetesError as error:
            words = "secrets.{variable}: {place} cannot be read: {why}"
            text = remark("secret_unread", words, variable=variable, place=place, why=error)
            raise SyncRefused(text) from None
        value = (found.get("data") or {}).get(key)
        if value is None:
            words = "secrets.{variable}: the Secret {name} has no key {key}"
            raise SyncRefused(remark("secret_no_key", words, variable=variable, name=name, key=repr(key)))
        return base64.b64decode(value).decode("utf-8", "replace").strip()

    async def _elect(self, hear: Callable[[bool], None]) -> None:
        lease = Lease(self._api, LEASE, self.inner.name, hear)
        try:
            await lease.run()
        finally:
            await lease.release()

    def _read(self, access: Access) -> None:
        """Read again what another gateway wrote. Blocks. Raises GatewayError."""
        for name, store in ((TOKENS, self._tokens), (ENDED, self._ended)):
            if self._version(name) != store.changed():
                store.read()
        if self._secret.seen != self._version(self._secret.secret):
            access.keyring.refresh()

    def _version(self, name: str) -> str:
        """Of a Secret, as its watch shows it; "" while it is empty."""
        one = self._secrets[name].objects.get(name)
        return str(one["metadata"]["resourceVersion"]) if one and one.get("data") else ""

    def _changed(self, before: Object | None, now: Object | None) -> None:
        self._wake()

    def _wake(self) -> None:
        self._news.set()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._running.append(asyncio.create_task(work))


def _leaves_within(environment: Mapping[str, str]) -> float:
    said = environment.get(LEAVES_WITHIN, "")
    if said and not said.isdigit():
        raise GatewayError(f"{LEAVES_WITHIN} is {said!r}: it must be whole seconds")
    return float(said or _LEAVES_WITHIN)


def _inner(
    environment: Mapping[str, str], gateways: Callable[[], Mapping[str, str]],
    elect: Callable[[Callable[[bool], None]], Coroutine[Any, Any, None]],
) -> Inner:  # fmt: skip
    host, _, port = environment.get(INNER, "0.0.0.0:7861").rpartition(":")
    if not (host and port.isdigit()):
        raise GatewayError(f"{INNER} is {environment[INNER]!r}: it must be host:port")
    name = environment.get(POD, "")
    if not name:
        raise GatewayError(f"{POD} is not set: the pod's manifest gives it, by the downward API")
    return Inner(name, host, int(port), gateways, elect)
