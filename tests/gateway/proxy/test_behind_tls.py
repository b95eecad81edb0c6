"""A gateway behind whoever ends TLS: hosts in plain HTTP, people's addresses, cookies for https alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import NAVIGATES, House, headers, until
from tests.ports import free_port

BALANCER, STRANGER = "127.0.9.1", "127.0.8.1"
PERSON = "203.0.113.7"


class HouseBehindTls(House):
    """A house whose TLS ends at a balancer of the network 127.0.9.0/24."""

    def __init__(self, root: Path, **endpoints: dict[str, Any]) -> None:
        self.port = free_port()
        super().__init__(root, **endpoints)

    def team(self, **settings: Any) -> None:
        console = {"port": self.port, "host": host("console")}
        super().team(**{"console": console, "edge": {"trusted": ["127.0.9.0/24"]}, **settings})

    def set(self, name: str, **settings: Any) -> None:
        self.ports[name] = self.port
        super().set(name, host=host(name), **settings)

    def by(self, proxy: str, name: str, **sent: str) -> httpx.Client:
        """What comes from `proxy` for the host of `name`."""
        transport = httpx.HTTPTransport(local_address=proxy, verify=False)
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", transport=transport, trust_env=False, timeout=30,
            headers={"Host": host(name), **sent},
        )  # fmt: skip


def host(name: str) -> str:
    return f"{name}.art.example.com"


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HouseBehindTls]:
    house = HouseBehindTls(tmp_path_factory.mktemp("behind"), studio={}, gallery={})
    house.start()
    yield house
    assert house.stop() == 0


def test_people_are_who_the_balancer_says(behind: HouseBehindTls) -> None:
    """The person's address is the last that no trusted proxy added; addresses of others and links say https;
    the session's cookie is for TLS alone."""
    sent = {"X-Forwarded-For": f"198.51.100.1, {PERSON}", "X-Forwarded-Proto": "https", **NAVIGATES}
    with behind.by(BALANCER, "studio", **sent) as person:
        answer = person.get("/", params={"token": behind.token("studio")})
        assert answer.status_code == 303
        assert answer.headers["set-cookie"].startswith("__Host-easel_studio=")
        assert "Secure" in answer.headers["set-cookie"]
        assert "max-age" in answer.headers["strict-transport-security"]
        seen = headers(person.get("/", headers={"Cookie": answer.headers["set-cookie"].split(";")[0]}))
    assert seen["x-forwarded-proto"] == "https"
    assert seen["x-forwarded-for"] == PERSON
    audit = (behind.root / "logs" / "audit.jsonl").read_text().splitlines()
    signed_in = [json.loads(line) for line in audit if json.loads(line)["kind"] == "signed-in"]
    assert signed_in[-1]["address"] == PERSON
    assert behind.endpoint("studio")["url"] == f"https://{host('studio')}/"


def test_a_strangers_word_counts_for_nothing(behind: HouseBehindTls) -> None:
    """Who is no proxy of ours is who they are."""
    with behind.by(STRANGER, "studio", **{"X-Forwarded-For": PERSON}) as stranger:
        sent = {"Authorization": f"Bearer {behind.token('studio')}"}
        assert headers(stranger.get("/internal/sysinfo", headers=sent))["x-forwarded-for"] == STRANGER


def test_a_host_in_capitals_is_the_same_host(behind: HouseBehindTls) -> None:
    """Names of hosts have no capitals of their own (RFC 9110, 4.2.3), and one site serves many."""
    sent = {"Host": host("studio").upper(), "Authorization": f"Bearer {behind.token('studio')}"}
    with behind.by(BALANCER, "studio", **sent) as person:
        assert person.get("/internal/sysinfo").status_code == 200
        assert person.get("/easel/waking").json()["state"] == "ready"
    with behind.by(BALANCER, "gallery", **{**sent, "Host": host("gallery")}) as person:
        assert person.get("/").status_code == 401, "a token of one opens no other of the same site"


def test_another_host_is_nothing(behind: HouseBehindTls) -> None:
    """Neither a host that is nobody's nor an address: whoever looks for us by it learns nothing."""
    for name in ("elsewhere.example.com", "127.0.0.1"):
        with behind.by(BALANCER, "studio", Host=name) as other:
            answer = until(lambda other=other: other.get("/easel/signin"))
        assert answer.status_code == 404
        assert answer.content == b""
