"""Caddy as a child: what it does with a changed plan, and with one that it cannot take."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from easel.gateway.errors import GatewayError
from easel.gateway.home import Home
from easel.gateway.proxy import Caddy, Plan, Site
from tests.ports import free_port

pytestmark = pytest.mark.anyio


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """One endpoint, and no gateway behind it: Caddy itself answers, with 502."""
    home = Home(tmp_path)
    home.prepare()
    return planned(home, Site("studio", free_port(), "127.0.0.1"))


def planned(home: Home, *sites: Site) -> Plan:
    nobody = f"127.0.0.1:{free_port()}"
    paths = (home.run / "admin", home.run / "relay", home.certificates, home.logs / "caddy.log")
    return Plan(nobody, sites, *paths)


@pytest.fixture
async def caddy(plan: Plan) -> AsyncIterator[Caddy]:
    caddy = Caddy(Home(plan.storage.parent), "key")
    await caddy.start(plan)
    await caddy.opened()
    yield caddy
    await caddy.stop()


def answers(site: Site) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{site.port}/", trust_env=False).status_code == 502
    except httpx.ConnectError:
        return False


async def test_a_changed_plan_is_taken(caddy: Caddy, plan: Plan) -> None:
    """A new endpoint answers as soon as `follow` is done, and the one that was there still does."""
    late = Site("late", free_port(), "127.0.0.1")
    await caddy.follow(planned(Home(plan.storage.parent), *plan.sites, late))
    assert answers(late)
    assert answers(plan.sites[0])


async def test_a_plan_that_caddy_refuses_leaves_the_old_one(caddy: Caddy, plan: Plan) -> None:
    """In Caddy's words; what runs goes on, and the file is what a restart of Caddy may begin with."""
    home = Home(plan.storage.parent)
    before = home.caddyfile.read_text()
    nowhere = Site("late", free_port(), "192.0.2.1")
    with pytest.raises(GatewayError, match=r"refused the changed configuration: .*192\.0\.2\.1"):
        await caddy.follow(planned(home, *plan.sites, nowhere))
    assert home.caddyfile.read_text() == before
    assert answers(plan.sites[0])


async def test_a_caddy_that_is_not_there_takes_nothing(caddy: Caddy, plan: Plan) -> None:
    """While it is being started again a change waits, and is told."""
    home = Home(plan.storage.parent)
    before = home.caddyfile.read_text()
    await caddy.stop()
    with pytest.raises(GatewayError, match="refused the changed configuration: ConnectError"):
        await caddy.follow(planned(home, Site("late", free_port())))
    assert home.caddyfile.read_text() == before
