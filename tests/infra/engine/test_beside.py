"""What goes on beside `pulumi up`: the gateway at work, a hand in the console, another `up`, other names."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.infra.bake.cloud import Cloud
from tests.infra.engine.pulumi import Engine, told
from tests.infra.engine.test_engine import begun

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DRIFT = ("preview", "--refresh", "--expect-no-changes")
"""As stacks/gitops/easel-drift.yml has it."""


@pytest.fixture(scope="module")
def jazz(pulumi: Engine, builder: Cloud) -> str:
    """A stack that is up, with an endpoint that begins with spot."""
    begun(pulumi, builder, "jazz", "studio")
    file = pulumi.file("jazz")
    file.write_text(
        file.read_text().replace("shape: gpu.a10\n", "shape: gpu.a10\n      capacity: spot-first\n", 1)
    )
    pulumi.did("up", "--yes", "--skip-preview", "--stack", "jazz")
    return "jazz"


@pytest.fixture
def group(pulumi: Engine, jazz: str) -> Iterator[Path]:
    """The file of what AWS has of the endpoint's group; as it was, afterwards."""
    (file,) = [
        one
        for one in pulumi.there.glob("*.json")
        if "autoscaling/group:Group::easel-jazz-" in one.read_text()
    ]
    before = file.read_text()
    yield file
    file.write_text(before)


def change(file: Path, **values: Any) -> None:
    """Make AWS have another value, as nobody told Pulumi."""
    found = json.loads(file.read_text())
    found["state"].update(values)
    file.write_text(json.dumps(found))


def test_what_the_gateway_does_is_no_drift(pulumi: Engine, jazz: str, group: Path) -> None:
    """A GPU that is awake at night, bought on demand since spot ran out, turns no check red."""
    mixed = json.loads(group.read_text())["state"]["mixedInstancesPolicy"]
    mixed["instancesDistribution"]["onDemandPercentageAboveBaseCapacity"] = 100
    change(group, desiredCapacity=1, mixedInstancesPolicy=mixed)
    pulumi.did(*DRIFT, "--stack", jazz)


def test_what_a_hand_does_is_drift_and_is_taken_back(pulumi: Engine, jazz: str, group: Path) -> None:
    """Another limit than git says: the check is red and names the group, `up --refresh` mends it."""
    change(group, maxSize=9)
    done = pulumi.run(*DRIFT, "--stack", jazz)
    assert done.returncode != 0
    assert "easel-jazz-studio-replicas" in told(done)
    pulumi.did("up", "--yes", "--skip-preview", "--refresh", "--stack", jazz)
    assert json.loads(group.read_text())["state"]["maxSize"] != 9


def test_two_at_once_are_one_after_the_other(pulumi: Engine, jazz: str) -> None:
    """The second is told that the first is at it, and by whom; nothing is half made."""
    before = pulumi.contents()
    first = pulumi.begin("up", "--yes", "--skip-preview", "--stack", jazz)
    try:
        locks = pulumi.state / ".pulumi" / "locks"
        deadline = time.monotonic() + 120
        while not list(locks.rglob("*.json")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        second = pulumi.run("up", "--yes", "--skip-preview", "--stack", jazz)
        assert second.returncode != 0
        assert "locked" in told(second)
        assert first.ended(600) == 0, first.said()
    finally:
        first.away()
    assert pulumi.contents() == before


def test_another_name_is_another_endpoint_on_the_same_files(pulumi: Engine, jazz: str) -> None:
    """A rename makes one endpoint and removes one; gateway, network and file system stay as they are."""
    file = pulumi.file(jazz)
    before = file.read_text()
    try:
        file.write_text(before.replace("    studio:\n", "    atelier:\n", 1))
        plan = pulumi.plan(jazz)
    finally:
        file.write_text(before)
    assert all("atelier" in one for one in plan["create"]), plan
    assert all("studio" in one for one in plan["delete"]), plan
    assert not plan.get("replace")
    assert all("gateway" not in one for one in plan.get("update", ())), plan
