"""The gateway process: puts the parts together, follows the configuration, and takes everything down
again."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import signal
import socket
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType

import filelock
import structlog

from easel.gateway import config as configuration
from easel.gateway import modes, ports, sites
from easel.gateway.audit import Audit
from easel.gateway.caddy import Caddy
from easel.gateway.certificates import Certificates
from easel.gateway.client_secret import ClientSecret
from easel.gateway.config import CONSOLE, Config
from easel.gateway.ended import Ended
from easel.gateway.errors import AlreadyRunning, ConfigError, GatewayError
from easel.gateway.events import Event, Events
from easel.gateway.home import Home, write_private
from easel.gateway.keyring import Keyring
from easel.gateway.links import Links
from easel.gateway.passes import OPERATOR
from easel.gateway.place import LocalPlace, Place
from easel.gateway.plan import Plan
from easel.gateway.process import rotate
from easel.gateway.relay import Relay
from easel.gateway.replicas import Fleet, OpenRequests, WakeState
from easel.gateway.replicas.local import Command
from easel.gateway.rights import Right, Rights
from easel.gateway.supply import Supply
from easel.gateway.tokens import Tokens

_log = structlog.get_logger("easel.gateway")
_LOOK_AT_CONFIG = 1.0
_FLUSH_TOKENS = 60.0


class Gateway:
    """One gateway for one EASEL_HOME. `place` makes what differs elsewhere than on this machine."""

    def __init__(
        self, root: Path, command: Command | None = None, place: Callable[[Home, Events], Place] | None = None
    ) -> None:
        self.home = Home(root.resolve())
        self._events = Events()
        here = LocalPlace(self.home, self._events, command)
        self._place: Place = place(self.home, self._events) if place else here
        self._passing = OpenRequests()
        # Before anything is started that would inherit it.
        self._client_secret = ClientSecret()
        self._supply = Supply(self.home, self._events, self._place.sources, self._stocked)
        self._lock = filelock.FileLock(self.home.run / "gateway.lock")
        self._stop = asyncio.Event()
        self._fleets: dict[str, Fleet] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises GatewayError if it cannot begin."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self.home.prepare()
        self._mend(self.home.root, skip=("models", "outputs"))
        self._audit = Audit(self.home.logs)
        try:
            self._lock.acquire(timeout=3)
        except filelock.Timeout:
            raise AlreadyRunning(
                f"another gateway serves {self.home.root} ({_who(self.home)}): end it first, "
                "or use another EASEL_HOME"
            ) from None
        self._events.listen(self._hear)
        await self._place.open(self._stop)
        config = configuration.read(self.home.config)
        ports.check(sites.ports(config), config.team.bind)
        await self._serve(config)

    async def _serve(self, config: Config) -> None:
        home, events = self.home, self._events
        self._certificates = Certificates(home.logs / "certificates.log", events)
        key, operator_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._keyring = Keyring(self._place.secrets())
        await asyncio.to_thread(self._keyring.open)
        self._config = config
        self._tokens = Tokens(await self._place.store())
        self._links = Links(home, self._tokens)
        self._ended = Ended(await self._place.ended())
        # The operator's right ends with this process, as its key does.
        key_id = hashlib.sha256(operator_token.encode()).hexdigest()[:16]
        operator = Right("operator", CONSOLE, OPERATOR, key_id)
        rights = Rights(
            self._tokens, self._ended,
            members=lambda: self._config.team.members, public=self._public, operator=key_id,
        )  # fmt: skip
        self._relay = Relay(home.socket("relay.sock"), rights, self._passing)
        self._backend = await self._place.backend(self._keyring.vouch, lambda: self._config, self._passing)
        await self._place.welcome(config, self._tokens, self._links)
        awake = WakeState(home.run / "awake.json")
        following = asyncio.create_task(
            self._place.follow(lambda: self._config, self._tokens, self._links), name="place"
        )
        listener = _listener()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        self._admin_socket = home.socket("caddy.sock")
        caddy, service = Caddy(home, key, outlived=self._place.outlived), None
        try:
            await self._relay.start()
            await caddy.start(self._plan(address))
            # Imported while Caddy starts: what speaks HTTP is half of the time until the door is open. Who
            # knocks
            # before waits in the listener's queue.
            from easel.gateway.service import Service

            # Before any replica, which answers nobody without.
            await asyncio.to_thread(self._keyring.publish)
            service = Service(
                self._keyring, key, operator_token, address,
                fleets=self._fleets, backend=self._backend, tokens=self._tokens, links=self._links,
                url=self._url, team=lambda: self._config.team, client_secret=self._client_secret,
                rights=rights, ended=self._ended, relay=self._relay, audit=self._audit, operator=operator,
            )  # fmt: skip
            service.start(listener)
            await caddy.opened()
            write_private(
                home.run / "gateway.json",
                json.dumps({"pid": os.getpid(), "url": f"http://{address}", "token": operator_token}) + "\n",
                must=True,
            )
            await self._meet(config, awake.remembered())
            self._supply.start()
            self._mending = asyncio.create_task(asyncio.to_thread(self._mend_large), name="modes")
            _log.info("the door is open", endpoints=list(config.endpoints), url=self._url(CONSOLE))
            await self._until_stopped(caddy, address, service.ended, awake)
            if not self._place.outlived:
                awake.forget()
        finally:
            _log.info("stopping")
            (home.run / "gateway.json").unlink(missing_ok=True)
            for task in (following, *self._running.values()):
                task.cancel()
            # From here on the door answers 503 to whoever comes or waits. Caddy leaves last: replicas finish
            # what they can, and what they answer has to reach its caller.
            await asyncio.gather(*(fleet.close() for fleet in self._fleets.values()))
            await asyncio.gather(self._backend.close(), self._supply.close())
            await caddy.stop()
            await self._flush()
            if service is not None:
                await service.stop()
            await self._relay.stop()
            self._audit.look()
            _log.info("stopped")

    async def _until_stopped(
        self, caddy: Caddy, address: str, ended: Callable[[], bool], awake: WakeState
    ) -> None:
        seen = configuration.fingerprint(self.home.config)
        rounds = 0
        while not self._stop.is_set() and not ended():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _LOOK_AT_CONFIG)
            rounds += 1
            self._certificates.look(self._config.hosts())
            self._relay.look()
            self._audit.look()
            await self._settle()
            known = {name: fleet.remembered for name, fleet in self._fleets.items()}
            awake.note({name: kept for name, kept in known.items() if kept is not None})
            if rounds % int(_FLUSH_TOKENS / _LOOK_AT_CONFIG) == 0:
                await self._flush()
                await self._look_at_secrets()
                rotate(self.home.logs / "gateway.log")
            now = configuration.fingerprint(self.home.config)
            if now != seen:
                seen = now
                await self._follow(caddy, address)

    async def _follow(self, caddy: Caddy, address: str) -> None:
        """Take a changed configuration, or say why not and go on with the old one."""
        before = self._config
        try:
            config = configuration.read(self.home.config)
            known, bind = sites.ports(before), config.team.bind
            for port, name in sites.ports(config).items():
                if port not in known and not ports.free(port, bind):
                    raise ConfigError(f"port {port} of {name} is taken by another program; the change waits")
            self._config = config
            await self._place.welcome(config, self._tokens, self._links)
            await caddy.follow(self._plan(address))
        except GatewayError as error:
            self._config = before
            self._backend.events.add(
                "team", None, "config", f"the changed configuration is not used: {error}"
            )
            return
        await self._meet(config)
        _log.info("took the changed configuration", endpoints=list(config.endpoints))

    async def _meet(self, config: Config, before: Mapping[str, bool] = MappingProxyType({})) -> None:
        """Have a fleet for every endpoint, and none for those that are gone. `before`: what the gateway
        before this one knew of them."""
        # First, so that nothing wakes for want of knowing that its models are not there.
        self._supply.follow(config.endpoints)
        for name, endpoint in config.endpoints.items():
            if name in self._fleets:
                if self._fleets[name].endpoint != endpoint:
                    await self._fleets[name].follow(endpoint)
                continue
            await self._backend.follow(endpoint)
            fleet = Fleet(endpoint, self._backend, open_requests=self._passing, stocks=self._supply)
            if name in before:
                fleet.remember(before[name])
            self._fleets[name] = fleet
            self._running[name] = asyncio.create_task(fleet.run(), name=f"fleet {name}")
        for name in set(self._fleets) - set(config.endpoints):
            self._running.pop(name).cancel()
            del self._fleets[name]
            await self._backend.forget(name)
            self._backend.events.add(name, None, "removed", "the endpoint is gone from the configuration")

    def _mend_large(self) -> None:
        # Beside everything else: there may be a hundred thousand pictures.
        for name in ("outputs", "models"):
            self._mend(self.home.root / name)

    def _mend(self, folder: Path, skip: Collection[str] = ()) -> None:
        found = modes.mend(folder, skip=skip, stop=self._stop.is_set)
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

    def _stocked(self, endpoint: str) -> None:
        if fleet := self._fleets.get(endpoint):
            fleet.hurry()

    def _public(self, endpoint: str) -> bool:
        fleet = self._fleets.get(endpoint)
        return fleet is not None and fleet.endpoint.public

    async def _settle(self) -> None:
        """Write down what could not be written when it was asked for."""
        for keeper in (self._tokens, self._ended):
            if not keeper.settled:
                await asyncio.to_thread(keeper.settle)

    async def _flush(self) -> None:
        try:
            await asyncio.to_thread(self._tokens.flush)
        except (GatewayError, OSError) as error:
            _log.warning("cannot note when tokens were last used", reason=str(error))

    async def _look_at_secrets(self) -> None:
        try:
            await asyncio.to_thread(self._keyring.refresh)
        except GatewayError as error:
            _log.warning("the secrets that are known stay", reason=str(error))

    def _plan(self, address: str) -> Plan:
        return sites.plan(
            self._config,
            gateway=address,
            home=self.home,
            admin_socket=self._admin_socket,
            relay=self._relay.path,
        )

    def _url(self, name: str) -> str:
        # The fleet first: while a change is being taken, it is what still answers.
        fleet = self._fleets.get(name)
        return sites.url(self._config.team, fleet.endpoint if fleet else self._config.endpoints.get(name))


def _listener() -> socket.socket:
    # Named as TCP: for a socket that is not, asyncio leaves Nagle on, and every answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    return listener


def _who(home: Home) -> str:
    try:
        return f"process {json.loads((home.run / 'gateway.json').read_text())['pid']}"
    except (OSError, ValueError, KeyError):
        return "it is starting or stopping"
