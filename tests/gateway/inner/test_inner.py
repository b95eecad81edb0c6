"""What only the cluster reaches: health, the scale signal, and what gateways tell each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from easel.gateway.access import Keyring, SecretFile
from easel.gateway.config import Endpoint, Replicas
from easel.gateway.events import Events
from easel.gateway.home import Home
from easel.gateway.inner import PeerExchange, inner_app
from easel.gateway.inner.peer_exchange import HEADER
from easel.gateway.replicas import Fleet, Peers
from easel.gateway.replicas.local import LocalBackend

pytestmark = pytest.mark.anyio


async def _metrics(request: Any) -> PlainTextResponse:
    return PlainTextResponse("easel 1")


class OneGateway:
    """A gateway as its peers see it, with one endpoint that is asleep."""

    def __init__(self, root: Path, keyring: Keyring) -> None:
        endpoint = Endpoint(name="art", port=1, replicas=Replicas(min=0, max=2))
        self.peers = Peers()
        self.fleet = Fleet(endpoint, LocalBackend(Home(root), Events()), peers=self.peers)
        self.leaving = False
        self.exchange = PeerExchange(
            keyring, {"art": self.fleet}, self.peers, name="a", port=1, others=dict
        )  # fmt: skip
        app = inner_app({"art": self.fleet}, self.exchange, _metrics, lambda: self.leaving)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inner")

    async def hears(self, other: OneGateway) -> None:
        """As its round does, over HTTP."""
        transport = httpx.ASGITransport(other.client._transport.app)  # type: ignore[attr-defined]
        async with httpx.AsyncClient(transport=transport) as client:
            await self.exchange._ask(client, "b", "127.0.0.1")


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    home = Home(tmp_path / "secrets")
    home.prepare()
    keyring = Keyring(SecretFile(home))
    keyring.open()
    return keyring


@pytest.fixture
def gateway(tmp_path: Path, keyring: Keyring) -> Callable[[], OneGateway]:
    return lambda: OneGateway(tmp_path, keyring)


async def test_health_ends_before_the_gateway_does(gateway: Callable[[], OneGateway]) -> None:
    """Who is about to leave gets no more callers."""
    one = gateway()
    assert (await one.client.get("/healthz")).status_code == 200
    one.leaving = True
    assert (await one.client.get("/healthz")).status_code == 503
    assert (await one.client.get("/metrics")).text == "easel 1"


async def test_any_gateway_tells_the_same_signal(gateway: Callable[[], OneGateway]) -> None:
    """Requests held at one door, and who asked there, count at the other once that has asked."""
    here, there = gateway(), gateway()
    assert (await there.client.get("/scale/art")).json()["value"] == 0
    assert (await there.client.get("/scale/nobody")).status_code == 404
    here.fleet.ask("somebody opened the page")
    await there.hears(here)
    for one in (here, there):
        assert (await one.client.get("/scale/art")).json()["value"] == 1
    here.fleet.waiting = 3
    await there.hears(here)
    for one in (here, there):
        said = (await one.client.get("/scale/art")).json()
        assert (said["value"], said["held"], said["asked"]) == (3, 3, 1)


async def test_only_the_teams_gateways_are_told(gateway: Callable[[], OneGateway], tmp_path: Path) -> None:
    """Question and answer are signed: neither is believed of anybody else, nor one taken for the other."""
    one = gateway()
    other_home = Home(tmp_path / "other")
    other_home.prepare()
    other = Keyring(SecretFile(other_home))
    other.open()
    stranger = OneGateway(tmp_path, other)
    stranger.fleet.waiting = 9
    for shown in ("", "x", stranger.exchange._sign("ask", {"by": "b"}), one.exchange._sign("tell", {})):
        answer = await one.client.get("/peer", headers={HEADER: shown})
        assert answer.status_code == 403
    ours = one.exchange._sign("ask", {"by": "b"})
    assert (await one.client.get("/peer", headers={HEADER: ours})).status_code == 200
    assert (await one.client.get("/peer?since=x", headers={HEADER: ours})).status_code == 403
    await one.hears(stranger)
    assert one.peers.held("art", 0) == 0
