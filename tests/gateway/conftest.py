"""A gateway with real Caddy and real replicas, on free ports of this machine."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.ports import free_port

REPLICA = Path(__file__).with_name("replica.py")
IMAGE = Path(__file__).parents[2] / "image"
# `python -m easel.gateway` that looks more often at replicas and at its configuration: what tests wait for is
# its next look, mostly. Those of `easel up` start it as people do.
GATEWAY = """
import sys
from functools import partial

sys.modules["rich"] = None  # as main has it, before structlog comes
from easel.gateway import assembly
from easel.gateway.__main__ import main
from easel.gateway.replicas.local import backend

assembly._LOOK_AT_CONFIG = {look}
assembly.Fleet = partial(assembly.Fleet, tick={look})
assembly.LocalDeployment.leaves_within = {leaves_within}
backend.ReplicaTimeouts = partial(backend.ReplicaTimeouts, drain_poll=0.1)
main()
"""
_addresses = itertools.count(2)
# Not verifying what is no TLS anyway spares every client the reading of all certificate authorities.
_operator = httpx.Client(timeout=30, verify=False, trust_env=False)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def until(true: Callable[[], Any], seconds: float = 30.0, what: str = "") -> Any:
    """Waits until `true()` is; its value."""
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or true}"
        time.sleep(0.05)
    return value


class House:
    """One EASEL_HOME and the gateway that serves it."""

    # What its gateway finds in its environment beside ours.
    environment: Mapping[str, str] = {}
    # Seconds between two looks of the gateway.
    look = 0.5
    # Seconds that it goes on for who is at its door, once it was told to end.
    leaves_within = 0.0
    # What is started in the studio's place.
    replica = f"{sys.executable} -S {REPLICA} --port {{port}}"

    def __init__(self, root: Path, **endpoints: dict[str, Any]) -> None:
        self.root = root
        self.ports = {name: free_port() for name in ("console", *endpoints)}
        (root / "config").mkdir(parents=True)
        for name, settings in endpoints.items():
            self.set(name, **settings)
        self.team(endpoints=list(endpoints))
        self.process: subprocess.Popen[bytes] | None = None

    def team(self, **settings: Any) -> None:
        team = {
            "team": "test",
            "runs_on": "local",
            "domain": None,
            "console": {"port": self.ports["console"]},
        }
        (self.root / "config" / "team.json").write_text(json.dumps(team | settings))

    def set(self, name: str, **settings: Any) -> None:
        self.ports.setdefault(name, free_port())
        spec: dict[str, Any] = {
            "name": name,
            "shape": "cpu.small",
            "port": self.ports[name],
            "replicas": {"min": 1, "max": 1},
            "idle": 900,
        }
        (self.root / "config" / f"{name}.json").write_text(json.dumps(spec | settings))

    def start(self, wait: str | None = "") -> House:
        """Start and wait until the door is open and, named or all, the endpoints with a minimum are ready."""
        program = GATEWAY.format(look=self.look, leaves_within=self.leaves_within)
        command = [sys.executable, "-c", program, "--home", str(self.root)]
        environment = {**os.environ, **self.environment, "PYTHONPATH": str(IMAGE)}
        self.process = subprocess.Popen(
            [*command, "--replica", self.replica],
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        os.set_blocking(self.process.stderr.fileno(), False)  # type: ignore[union-attr]
        until(lambda: self.json or self.process.poll() is not None, what="the door opens")  # type: ignore[union-attr]
        assert self.process.poll() is None, self.said()
        if wait is not None:
            until(self.settled, what="endpoints are ready")
        return self

    def settled(self) -> bool:
        return all(
            endpoint["state"] in ("ready", "failed") or not self.spec(endpoint["name"])["replicas"]["min"]
            for endpoint in self.status()["endpoints"]
        )

    def spec(self, name: str) -> dict[str, Any]:
        return json.loads((self.root / "config" / f"{name}.json").read_text())

    @property
    def json(self) -> dict[str, Any] | None:
        try:
            found = json.loads((self.root / "run" / "gateway.json").read_text())
        except FileNotFoundError:
            return None
        return found if self.process and found["pid"] == self.process.pid else None

    def said(self) -> str:
        log = self.root / "logs" / "gateway.log"
        return log.read_text() if log.exists() else ""

    def api(self, method: str, path: str, **rest: Any) -> httpx.Response:
        gateway = self.json
        assert gateway
        headers = {"Authorization": f"Bearer {gateway['token']}"}
        return _operator.request(method, gateway["url"] + path, headers=headers, **rest)

    def status(self) -> dict[str, Any]:
        return self.api("GET", "/api/status").json()

    def endpoint(self, name: str) -> dict[str, Any]:
        return next(each for each in self.status()["endpoints"] if each["name"] == name)

    def state(self, name: str) -> str:
        return str(self.endpoint(name)["state"])

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def token(self, name: str) -> str:
        return str(json.loads((self.root / "run" / "links.json").read_text())[name])

    def new_token(self, endpoint: str, name: str, expires: Any = None) -> str:
        answer = self.api(
            "POST", "/api/tokens", json={"endpoint": endpoint, "name": name, "expires": expires}
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    def client(self, name: str, **rest: Any) -> httpx.Client:
        """A caller with a network address of its own, so that nobody's failed sign-ins count for another."""
        number = next(_addresses)
        transport = httpx.HTTPTransport(
            local_address=f"127.0.{number // 250}.{number % 250 + 2}", verify=False
        )
        return httpx.Client(base_url=self.url(name), transport=transport, timeout=30, trust_env=False, **rest)

    def caller(self, name: str) -> httpx.Client:
        """An API client with the endpoint's token."""
        return self.client(name, headers={"Authorization": f"Bearer {self.token(name)}"})

    def browser(self, name: str, *, signed_in: bool = True) -> httpx.Client:
        """What a browser sends when a person opens the page."""
        browser = self.client(name, headers=NAVIGATES)
        if signed_in:
            answer = browser.get("/", params={"token": self.token(name)})
            assert answer.status_code == 303, answer.text
        return browser

    def processes(self) -> list[psutil.Process]:
        """The gateway's descendants: watchdogs, Caddy, replicas."""
        assert self.process
        return psutil.Process(self.process.pid).children(recursive=True)

    def caddy(self) -> psutil.Process:
        return next(each for each in self.processes() if each.name() == "caddy")

    def stop(self) -> int:
        assert self.process
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        if self.process.stderr:
            self.process.stderr.close()
        return code


NAVIGATES = {
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
    "Sec-Fetch-Dest": "document",
    "Accept": "text/html,application/xhtml+xml",
}
# What a script of the endpoint's own page sends.
FETCHES = {
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Dest": "empty",
    "Accept": "*/*",
}


# A web application of somebody's, elsewhere.
APP = "https://app.example.com"


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway for tests that leave it as it was: two private endpoints and a public one, all awake.

    The pages of `APP` may call `other` and `gallery`.
    """
    house = House(
        tmp_path_factory.mktemp("house"),
        studio={"max_body": 4_000_000},
        other={"cors": [APP, "http://localhost:3000"]},
        gallery={"public": True, "cors": [APP]},
    )
    # As others are: it runs as long as the tests do, and each look takes from those that compute.
    house.look = 1.0
    house.start()
    yield house
    assert house.stop() == 0


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Makes houses of a test's own; all are torn down."""
    houses: list[House] = []

    def build(**endpoints: dict[str, Any]) -> House:
        house = House(tmp_path / f"home{len(houses)}", **endpoints)
        houses.append(house)
        return house

    yield build
    for house in houses:
        if house.process:
            house.stop()


def headers(answer: httpx.Response) -> dict[str, str]:
    """The request headers that the replica saw."""
    return dict(answer.json()["headers"])


def user(answer: httpx.Response) -> str:
    """Whom the replica took the caller for."""
    assert answer.status_code == 200, answer.text
    return headers(answer)["x-easel-user"]


def raw(house: House, method: str, target: str, *lines: str) -> str:
    """A request exactly as written: clients tidy paths up."""
    with socket.create_connection(("127.0.0.1", house.ports["studio"]), timeout=10) as connection:
        head = [
            f"{method} {target} HTTP/1.1",
            "Host: studio",
            "Content-Length: 0",
            "Connection: close",
            *lines,
        ]
        connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer.decode("latin-1")
