"""A region with a group, its hosts and the backend under test."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from easel.gateway.aws.bucket import Bucket
from easel.gateway.aws.calls import Aws
from easel.gateway.config import Container, Endpoint, Instances, Replicas, Timeouts
from easel.gateway.events import Events
from easel.gateway.replicas import ReplicaTimeouts
from easel.gateway.replicas.aws import InstancesBackend
from tests.gateway.replicas.aws.hosts import Hosts
from tests.gateway.replicas.aws.region import REGION, Region

_clients: dict[str, Any] = {}
_buckets = itertools.count(1)
QUICK = ReplicaTimeouts(
    inventory_age=0.04, inventory_stale=0.2, activities_poll=0.05, retry=0.05, capacity_lag=2.0,
    drain_poll=0.04, unresponsive=1.5, repair=20.0, crash_limit=2, backoff_limit=2, min_ready=60.0,
    scale_in_lag=2.0, pool_rest=0.3,
)  # fmt: skip


class SharedAws(Aws):
    """Clients made once for all tests: each takes boto3 a third of a second."""

    def client(self, service: str) -> Any:
        if service not in _clients:
            _clients[service] = super().client(service)
        return _clients[service]


@pytest.fixture(scope="package")
def region() -> Iterator[Region]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.delenv("AWS_PROFILE", raising=False)
        region = Region()
        yield region
        region.close()
        _clients.clear()


@pytest.fixture
def aws(region: Region) -> Iterator[Aws]:
    aws = SharedAws(REGION, attempts=1, endpoint_url=region.url)
    yield aws
    aws.close()


class Faults:
    """Refuses calls on their way: `faults["set_desired_capacity"] = ("Throttling", "Rate exceeded")`."""

    def __init__(self) -> None:
        self.rules: dict[str, tuple[str, str]] = {}
        self.asked: list[str] = []

    def __setitem__(self, operation: str, error: tuple[str, str]) -> None:
        self.rules[operation] = error

    def clear(self) -> None:
        self.rules.clear()


class FaultyAws(SharedAws):
    """Calls that a test has refused raise what botocore raises for such an answer."""

    faults: Faults

    def client(self, service: str) -> Any:
        return _Faulty(super().client(service), self.faults)


class _Faulty:
    def __init__(self, client: Any, faults: Faults) -> None:
        self._client, self._faults = client, faults

    def __getattr__(self, name: str) -> Any:
        from botocore.exceptions import ClientError

        if name == "get_paginator":
            return lambda operation: getattr(self, f"_page_{operation}")
        paged, name = name.startswith("_page_"), name.removeprefix("_page_")
        self._faults.asked.append(name)
        rule = self._faults.rules.get(name) or self._faults.rules.get("*")
        if rule is None:
            return self._client.get_paginator(name) if paged else getattr(self._client, name)
        code, message = rule

        def refuse(**arguments: Any) -> Any:
            error = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}}
            raise ClientError(error, name)  # type: ignore[arg-type]

        refuse.paginate = refuse  # type: ignore[attr-defined]
        return refuse


class TeamBucket:
    """A bucket of its own, as its team, its gateway and an operator see it."""

    def __init__(self, region: Region) -> None:
        self.name = f"easel-art-{next(_buckets)}"
        self.s3 = region.client("s3")
        self.s3.create_bucket(Bucket=self.name)
        self.faults = Faults()
        self.aws = FaultyAws(REGION, attempts=1, endpoint_url=region.url)
        self.aws.faults = self.faults
        self.bucket = Bucket(self.aws, self.name)
        self.said: list[str] = []

    def write(self, key: str, content: object) -> None:
        self.s3.put_object(Bucket=self.name, Key=key, Body=json.dumps(content).encode())

    def read(self, key: str) -> str:
        return str(self.s3.get_object(Bucket=self.name, Key=key)["Body"].read().decode())


@pytest.fixture
def place(region: Region) -> TeamBucket:
    return TeamBucket(region)


class InstancesStage:
    """One group with hosts, and a backend that looks after it."""

    def __init__(self, region: Region, folder: Path, **settings: Any) -> None:
        self.region = region
        self.group = region.group(2)
        self.rules = region.rules[self.group]
        self.hosts = Hosts(region, self.group, folder)
        self.faults = Faults()
        container = {"port": self.hosts.port, **settings.pop("container", {})}
        self.endpoint = Endpoint(
            name="studio", port=443, replicas=Replicas(min=0, max=2),
            timeouts=Timeouts(wake=60, request=60),
            instances=Instances(group=self.group, log_group=self.hosts.log_group, price=3.6),
            container=Container(**container),
        )  # fmt: skip
        self.timeouts = settings.pop("timeouts", QUICK)
        self._settings = settings
        self.backend = self.new()

    def new(self) -> InstancesBackend:
        """Another backend, as after the gateway was started again."""
        aws = FaultyAws(REGION, attempts=1, endpoint_url=self.region.url)
        aws.faults = self.faults
        return InstancesBackend(aws, Events(), timeouts=self.timeouts, **self._settings)

    async def slow(self, seconds: float) -> None:
        self.hosts.env["EASEL_TEST_SLOW"] = str(seconds)

    async def crash(self, words: str | None) -> None:
        self.hosts.env["EASEL_TEST_CRASH"] = words or ""

    async def alive(self) -> int:
        return self.hosts.alive()

    def texts(self, kind: str | None = None) -> list[str]:
        return [event.text for event in self.backend.events.of() if kind in (None, event.kind)]

    async def close(self) -> None:
        await self.backend.close()
        self.region.leave(self.group)
        self.hosts.close()


@pytest.fixture
async def build(region: Region, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Makes stages; all are torn down."""
    stages: list[InstancesStage] = []

    async def build(**settings: Any) -> InstancesStage:
        stage = InstancesStage(region, tmp_path, **settings)
        stages.append(stage)
        await stage.backend.follow(stage.endpoint)
        return stage

    yield build
    for stage in stages:
        await stage.close()


@pytest.fixture
async def stage(build: Callable[..., Any]) -> InstancesStage:
    return await build()
