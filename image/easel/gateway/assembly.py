"""The gateway process: puts the parts together, follows the configuration, and takes everything down
again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import filelock
import structlog

from easel.gateway import config as configuration
from easel.gateway.access import (
    Access,
    EndedSessions,
    FirstLinks,
    Keyring,
    Operator,
    Rights,
    Tokens,
)
from easel.gateway.access.oidc import ClientSecret, Login
from easel.gateway.audit import AuditLog
from easel.gateway.config import CONSOLE, Config
from easel.gateway.config_watch import ConfigWatch
from easel.gateway.counts import Counts
from easel.gateway.deployment import Deployment, LocalDeployment
from easel.gateway.disk import mend, write_private
from easel.gateway.errors import AlreadyRunning, ConfigError, GatewayError
from easel.gateway.events import Event, Events
from easel.gateway.home import Home
from easel.gateway.leaving import Leaving
from easel.gateway.model_sync import ModelSync
from easel.gateway.process import check_ports, is_free, rotate
from easel.gateway.proxy import Caddy, Certificates, Plan, bind_of, plan_of, ports_of, url_of
from easel.gateway.relay import CaddyLink, Relay
from easel.gateway.replicas import Fleet, OpenRequests, Peers, WakeState
from easel.gateway.replicas.local import Command
from easel.remark import remark

if TYPE_CHECKING:
    from easel.gateway.server import Server

_log = structlog.get_logger("easel.gateway")
_LOOK_AT_CONFIG = 1.0
_FLUSH_TOKENS = 60.0


class Gateway:
    """One gateway for one EASEL_HOME. `elsewhere` makes what differs from this machine."""

    def __init__(
        self, root: Path, command: Command | None = None,
        elsewhere: Callable[[Home, Events], Deployment] | None = None,
    ) -> None:  # fmt: skip
        self.home = Home(root.resolve())
        self._events = Events()
        self._counts = Counts()
        here = LocalDeployment(self.home, self._events, command)
        self._deployment: Deployment = elsewhere(self.home, self._events) if elsewhere else here
        self._open_requests = OpenRequests()
        # Before anything is started that would inherit it.
        self._client_secret = ClientSecret()
        self._peers = Peers()
        self._model_sync = ModelSync(
            self.home, self._events, self._deployment.sources, self._models_changed,
            elsewhere=self._peers.models if self._deployment.inner else None,
        )  # fmt: skip
        self._lock = filelock.FileLock(self.home.run / "gateway.lock")
        self._stop = asyncio.Event()
        self._fleets: dict[str, Fleet] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._among_peers: list[asyncio.Future[None]] = []
        self._elected: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises GatewayError if it cannot begin."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self.home.prepare()
        self._mend(self.home.root, skip=("models", "outputs"))
        self._audit = AuditLog(self.home.logs, sys.stdout if self._deployment.inner else None)
        try:
            self._lock.acquire(timeout=3)
        except filelock.Timeout:
            raise AlreadyRunning(
                f"another gateway serves {self.home.root} ({_who(self.home)}): end it first, "
                "or use another EASEL_HOME"
            ) from None
        self._events.listen(self._hear)
        self._events.listen(self._counts.hear)
        await self._deployment.open(self._stop)
        config = configuration.read(self.home.config)
        check_ports(ports_of(config), bind_of(config.team))
        await self._serve(config)

    async def _serve(self, config: Config) -> None:
        self._config = config
        await self._assemble()
        listener = _listener()
        self._caddy_link = CaddyLink(
            secrets.token_urlsafe(32), f"127.0.0.1:{listener.getsockname()[1]}", self._relay
        )
        self._admin_socket = self.home.socket("caddy.sock")
        caddy = Caddy(self.home, self._caddy_link.key, outlived=self._deployment.outlived)
        server: Server | None = None
        following = asyncio.create_task(
            self._deployment.follow(lambda: self._config, self._access), name="deployment"
        )
        try:
            await self._relay.start()
            await caddy.start(self._plan())
            server = await self._start_server(listener)
            await caddy.opened()
            self._say_where()
            await self._meet(config, self._awake.remembered())
            self._model_sync.start()
            self._join_peers(server)
            self._mending = asyncio.create_task(asyncio.to_thread(self._mend_large), name="modes")
            _log.info("the door is open", endpoints=list(config.endpoints), url=self._url(CONSOLE))
            await self._until_stopped(caddy, server)
            await self._until_left(caddy, server)
            if not self._deployment.outlived:
                self._awake.forget()
        finally:
            _log.info("stopping")
            (self.home.run / "gateway.json").unlink(missing_ok=True)
            await self._close(caddy, server, following)
            _log.info("stopped")

    async def _assemble(self) -> None:
        """Make all that needs nothing to run yet."""
        home, deployment = self.home, self._deployment
        self._certificates = Certificates(home.logs / "certificates.log", self._events)
        self._awake = WakeState(home.run / "awake.json")
        keyring = Keyring(deployment.secrets())
        await asyncio.to_thread(keyring.open)
        tokens = Tokens(await deployment.tokens())
        ended = EndedSessions(await deployment.ended())
        self._operator = Operator.new()
        rights = Rights(
            tokens, ended, members=lambda: self._config.team.members, public=self._public,
            operator=self._operator.right.token,
        )  # fmt: skip
        self._access = Access(keyring, tokens, FirstLinks(home, tokens), ended, rights)
        self._relay = Relay(home.socket("relay.sock"), rights, self._open_requests, self._counts)
        self._backend = await deployment.backend(keyring.vouch, lambda: self._config, self._open_requests)
        await deployment.welcome(self._config, self._access)

    async def _start_server(self, listener: socket.socket) -> Server:
        # Imported while Caddy starts: what speaks HTTP is half of the time until the door is open. Who knocks
        # before waits in the listener's queue.
        from easel.gateway.console import Endpoints
        from easel.gateway.server import Server

        # Before any replica, which answers nobody without.
        await asyncio.to_thread(self._access.keyring.publish)
        login = Login(self._access.keyring, lambda: self._config.team, self._client_secret, self._events)
        endpoints = Endpoints(self._fleets, self._backend, self._url, lambda: self._config)
        server = Server(self._access, self._operator, self._caddy_link, endpoints, login, self._audit)
        server.start(listener)
        return server

    def _join_peers(self, server: Server) -> None:
        """Where there are several gateways: listen for the cluster, exchange words, elect who fetches."""
        inner = self._deployment.inner
        if inner is None:
            return
        from easel.gateway.inner import PeerExchange, inner_app

        exchange = PeerExchange(
            self._access.keyring, self._fleets, self._peers, name=inner.name, port=inner.port,
            others=inner.others,
        )  # fmt: skip
        routes = inner_app(self._fleets, exchange, server.metrics.get_own, self._stop.is_set)
        server.start_inner(routes, _listener(inner.host, inner.port))
        self._elected = asyncio.ensure_future(inner.elect(self._model_sync.lead))
        self._among_peers = [asyncio.ensure_future(exchange.run()), self._elected]

    def _say_where(self) -> None:
        """Write down where the operator reaches this gateway, and with which key."""
        where = {
            "pid": os.getpid(),
            "url": f"http://{self._caddy_link.address}",
            "token": self._operator.token,
        }
        write_private(self.home.run / "gateway.json", json.dumps(where) + "\n", must=True)

    async def _close(self, caddy: Caddy, server: Server | None, following: asyncio.Task[None]) -> None:
        """Take everything down in order. From here on the door answers 503 to whoever comes or waits. Caddy
        leaves last: replicas finish what they can, and what they answer has to reach its caller."""
        for task in (following, *self._running.values(), *self._among_peers):
            task.cancel()
        await asyncio.gather(*self._among_peers, return_exceptions=True)
        await asyncio.gather(*(fleet.close() for fleet in self._fleets.values()))
        await asyncio.gather(self._backend.close(), self._model_sync.close())
        await caddy.stop()
        await self._flush()
        if server is not None:
            await server.stop()
        await self._relay.stop()
        self._audit.look()
        await self._deployment.close()
        self.home.leave()

    async def _until_stopped(self, caddy: Caddy, server: Server) -> None:
        self._files = ConfigWatch(self.home.config)
        self._rounds = 0
        while not self._stop.is_set() and not server.ended():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _LOOK_AT_CONFIG)
            await self._look(caddy)

    async def _until_left(self, caddy: Caddy, server: Server) -> None:
        """Where others serve who comes from now on: answer who is here already."""
        if not self._deployment.leaves_within:
            return
        if self._elected is not None:
            self._elected.cancel()  # another one fetches models
        leaving = Leaving(self._deployment.leaves_within, self._busy)
        while not leaving.over() and not server.ended():
            await asyncio.sleep(_LOOK_AT_CONFIG)
            await self._look(caddy)

    def _busy(self) -> bool:
        return self._relay.busy or any(fleet.waiting for fleet in self._fleets.values())

    async def _look(self, caddy: Caddy) -> None:
        """One round of what is looked at as long as the door is open."""
        self._rounds += 1
        self._certificates.look(self._config.hosts)
        self._relay.look()
        self._audit.look()
        await self._settle()
        known = {name: fleet.remembered for name, fleet in self._fleets.items()}
        self._awake.note({name: kept for name, kept in known.items() if kept is not None})
        if self._rounds % int(_FLUSH_TOKENS / _LOOK_AT_CONFIG) == 0:
            await self._flush()
            await self._look_at_secrets()
            rotate(self.home.logs / "gateway.log")
        if self._files.changed():
            await self._follow(caddy)

    async def _follow(self, caddy: Caddy) -> None:
        """Take a changed configuration, or say why not and go on with the old one."""
        before = self._config
        try:
            config = configuration.read(self.home.config)
            known, bind = ports_of(before), bind_of(config.team)
            for port, name in ports_of(config).items():
                if port not in known and not is_free(port, bind):
                    words = "port {port} of {name} is taken by another program; the change waits"
                    raise ConfigError(remark("port_taken", words, port=str(port), name=name))
            self._config = config
            await self._deployment.welcome(config, self._access)
            await caddy.follow(self._plan())
        except GatewayError as error:
            self._config = before
            text = remark("config_not_used", "the changed configuration is not used: {why}", why=error)
            self._backend.events.add("team", None, "config", text)
            return
        await self._meet(config)
        _log.info("took the changed configuration", endpoints=list(config.endpoints))

    async def _meet(self, config: Config, before: Mapping[str, bool] = MappingProxyType({})) -> None:
        """Have a fleet for every endpoint, and none for those that are gone. `before`: what the gateway
        before this one knew of them."""
        # First, so that nothing wakes for want of knowing that its models are not there.
        self._model_sync.follow(config.endpoints)
        for name, endpoint in config.endpoints.items():
            if name in self._fleets:
                if self._fleets[name].endpoint != endpoint:
                    await self._fleets[name].follow(endpoint)
                continue
            await self._backend.follow(endpoint)
            fleet = Fleet(
                endpoint, self._backend, open_requests=self._open_requests, models=self._model_sync,
                peers=self._peers,
            )  # fmt: skip
            if name in before:
                fleet.remember(before[name])
            self._fleets[name] = fleet
            self._running[name] = asyncio.create_task(fleet.run(), name=f"fleet {name}")
        for name in set(self._fleets) - set(config.endpoints):
            self._running.pop(name).cancel()
            del self._fleets[name]
            await self._backend.forget(name)
            text = remark("endpoint_gone", "the endpoint is gone from the configuration")
            self._backend.events.add(name, None, "removed", text)

    def _mend_large(self) -> None:
        # Beside everything else: there may be a hundred thousand pictures.
        for name in ("outputs", "models"):
            self._mend(self.home.root / name)

    def _mend(self, folder: Path, skip: Collection[str] = ()) -> None:
        found = mend(folder, skip=skip, stop=self._stop.is_set)
        if found.closed or not found.whole:
            _log.info(
                "what others could read is for its owner alone now",
                folder=str(folder), entries=found.closed, all_seen=found.whole,
            )  # fmt: skip

    def _hear(self, event: Event) -> None:
        _log.info(event.text, endpoint=event.endpoint, replica=event.replica, kind=event.kind)
        if event.kind == "asleep":
            self._audit.add("slept", actor="@gateway", endpoint=event.endpoint, why=event.text)
        if event.replica is not None and (fleet := self._fleets.get(event.endpoint)):
            fleet.hurry()

    def _models_changed(self, endpoint: str) -> None:
        if fleet := self._fleets.get(endpoint):
            fleet.hurry()

    def _public(self, endpoint: str) -> bool:
        fleet = self._fleets.get(endpoint)
        return fleet is not None and fleet.endpoint.public

    async def _settle(self) -> None:
        """Write down what could not be written when it was asked for."""
        for keeper in (self._access.tokens, self._access.ended):
            if not keeper.settled:
                await asyncio.to_thread(keeper.settle)

    async def _flush(self) -> None:
        try:
            await asyncio.to_thread(self._access.tokens.flush)
        except (GatewayError, OSError) as error:
            _log.warning("cannot note when tokens were last used", reason=str(error))

    async def _look_at_secrets(self) -> None:
        try:
            await asyncio.to_thread(self._access.keyring.refresh)
        except GatewayError as error:
            _log.warning("the secrets that are known stay", reason=str(error))

    def _plan(self) -> Plan:
        return plan_of(
            self._config,
            gateway=self._caddy_link.address,
            home=self.home,
            admin_socket=self._admin_socket,
            relay=self._relay.path,
        )

    def _url(self, name: str) -> str:
        # The fleet first: while a change is being taken, it is what still answers.
        fleet = self._fleets.get(name)
        return url_of(self._config.team, fleet.endpoint if fleet else self._config.endpoints.get(name))


def _listener(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    # Named as TCP: for a socket that is not, asyncio leaves Nagle on, and every answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(1024)
    return listener


def _who(home: Home) -> str:
    try:
        return f"process {json.loads((home.run / 'gateway.json').read_text())['pid']}"
    except (OSError, ValueError, KeyError):
        return "it is starting or stopping"
