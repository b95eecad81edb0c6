"""An account at stand-ins of AWS, and a look at it as `easel doctor` takes it."""

from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen

import boto3
import botocore.session
import pytest
from moto.server import ThreadedMotoServer

from scripts.checks import aws_account
from scripts.checks.check import Check
from scripts.checks.stack_account import StackAccount
from scripts.settings import Settings
from scripts.stacks.loading import spec_at
from tests.scripts.aws_stand_in import StandIn

STACK = """config:
  aws:region: us-east-1
  easel:team:
    domain: art.example.com
    {team}
  easel:endpoints:
    studio: {{shape: gpu.a10, replicas: {{min: 0, max: 3}}}}
    proofs: {{shape: cpu.small, capacity: spot}}
"""
LOADER = botocore.session.create_loader()


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[str, str]]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    Thread(target=server.serve_forever, daemon=True).start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}", f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    moto.stop()
    # They ask this server, which the next file of tests has no more.
    _clients.clear()


@pytest.fixture(autouse=True)
def aws(servers: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moto, stand_in = servers
    urlopen(Request(f"{moto}/moto-api/reset", method="POST")).close()
    StandIn.quotas, StandIn.unlisted, StandIn.servers, StandIn.denied = {}, set(), [], False
    StandIn.points = None
    StandIn.plan = None
    StandIn.versions, StandIn.clusters, StandIn.drivers = {}, [], []
    monkeypatch.setattr(aws_account, "RESOLVER", f"{stand_in}/resolve")
    # Each session would read the megabytes of AWS's descriptions again.
    monkeypatch.setattr(botocore.session, "create_loader", lambda path=None: LOADER)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": moto,
        "AWS_ENDPOINT_URL_SERVICE_QUOTAS": stand_in,
        "AWS_ENDPOINT_URL_SSM": stand_in,
        "AWS_ENDPOINT_URL_BACKUP": stand_in,
        "AWS_ENDPOINT_URL_FREETIER": stand_in,
        "AWS_ENDPOINT_URL_EKS": stand_in,
    }.items():
        monkeypatch.setenv(name, value)


Look = Callable[..., list[Check]]
_clients: dict[str, Any] = {}


def client(service: str) -> Any:
    """A client of these tests: making one reads megabytes of AWS's descriptions."""
    if service not in _clients:
        _clients[service] = boto3.client(service, "us-east-1")
    return _clients[service]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """The checks of a stack whose team has this setting: all of them, as the command does it, or one."""

    def look(team: str = "runs_on: instances", text: str | None = None, only: Any = None) -> list[Check]:
        stack = tmp_path / "Pulumi.art.yaml"
        stack.write_text(STACK.format(team=team) if text is None else text)
        here = Settings(tmp_path / "home", 7860, stack)
        if only is None:
            return list(aws_account.of_stack(here))
        return list(only(StackAccount(spec_at(here.stack), "us-east-1", client)))

    return look


def of(checks: list[Check], what: str) -> list[Check]:
    return [check for check in checks if check.what == what]


def delegated(domain: str = "art.example.com") -> None:
    """A hosted zone that the DNS of the world knows."""
    zone = client("route53").create_hosted_zone(Name=domain, CallerReference="x")
    StandIn.servers = [server.upper() for server in zone["DelegationSet"]["NameServers"]]
