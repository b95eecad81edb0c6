"""What a team on a cluster costs, and when that is less than on instances."""

from typing import Any

import pytest

from infra import cost as instances
from infra.bill import bill_of
from infra.cluster import cost
from infra.cluster.nodes import FRONT_ZONES
from infra.cost import HOURS, RATES
from infra.shapes import SHAPES, SYSTEM
from infra.spec import EndpointSpec, Spec
from infra.stackfile import read_spec


def spec(endpoints: dict[str, Any], **team: Any) -> Spec:
    told = {"runs_on": "cluster", "domain": "art.example.com", **team}
    return read_spec("art", {"easel:team": told, "easel:endpoints": endpoints}, "x")


def endpoint(**fields: Any) -> EndpointSpec:
    return spec({"a": {"shape": "gpu.l4"} | fields}).endpoints["a"]


def test_asleep_it_costs_nothing_and_awake_its_machine_with_the_fee() -> None:
    """12 % of the price on demand for Auto Mode, address and disk; of the type that is taken first."""
    costs = cost.hourly(endpoint(replicas={"min": 0, "max": 3}))
    assert (costs.asleep, costs.min) == (0, 0)
    assert cost.first_type(SHAPES["gpu.l4"]).name == "g6.xlarge"
    assert 3 * (0.8048 * 1.12 + RATES.address) < costs.max < 3 * 0.8048 * 1.2


def test_a_machine_is_counted_with_the_fee() -> None:
    """What the fuse counts by: Auto Mode's twelve percent are more than a machine's price."""
    told = cost.machines(spec({"a": {"shape": "gpu.l4"}, "b": {"shape": "gpu.a100-40gb"}}))
    assert told.keys() == {"g6.xlarge", "g6.2xlarge", "g6.4xlarge", "p4d.24xlarge"}
    assert told["g6.xlarge"] == pytest.approx(0.8048 * 1.12, abs=1e-4)


def test_eight_replicas_share_a_machine_that_is_sold_whole() -> None:
    """The first costs as much as all eight."""
    one, eight, nine = (
        cost.hourly(endpoint(shape="gpu.a100-40gb", replicas={"max": number})).max for number in (1, 8, 9)
    )
    assert one == eight == pytest.approx(nine / 2)
    assert one > SHAPES["gpu.a100-40gb"].price


def test_the_floor_is_the_cluster_and_the_teams_balancer() -> None:
    """About 180 dollars a month; a team on a platform pays for its balancer alone."""
    own, shared = spec({}), spec({}, platform="company")
    assert 170 < cost.floor_monthly(own) < 200
    balancer = (cost.BALANCER + FRONT_ZONES * RATES.address) * HOURS
    assert cost.floor_monthly(shared) == pytest.approx(balancer)
    assert "paid for by company" in cost.floor_told(shared)
    assert "control plane" not in cost.floor_told(shared)
    assert "control plane" in cost.floor_told(own)


def test_quotas_are_those_of_the_types_that_are_taken() -> None:
    """vCPUs of the cheapest type, two small machines for the gateways; the platform has those of a team's."""
    needs = {quota.code: need for quota, need in cost.vcpus(spec({"a": {"shape": "gpu.l4"}})).items()}
    assert needs["L-1216C47A"].needed == 2 * SYSTEM[0].vcpu
    assert (needs["L-DB2E81BA"].needed, needs["L-DB2E81BA"].most) == (4, 16)
    shared = cost.vcpus(spec({"a": {"shape": "gpu.l4"}}, platform="company"))
    assert {quota.code for quota in shared} == {"L-DB2E81BA"}


def test_the_table_names_the_type_that_is_taken() -> None:
    """Not the one that a group of instances would prefer."""
    told = cost.table(spec({"studio": {"shape": "gpu.l4", "replicas": {"max": 2}}}))
    assert "g6.xlarge" in told
    assert "g6.2xlarge" not in told
    assert told.splitlines()[1].split()[-3:] == ["8,", "or", "32"]


def test_what_a_team_runs_on_decides_whose_arithmetic_it_is() -> None:
    """For the preview, the command and the doctor alike."""
    assert bill_of(spec({})) is cost
    assert bill_of(
        read_spec("art", {"easel:team": {"domain": "a.example.com"}, "easel:endpoints": {}}, "x")
    ) is (instances)


def test_when_a_cluster_pays_is_what_the_docs_say() -> None:
    """docs/how-to/run-on-a-cluster.md has these numbers; they come from here."""
    from pathlib import Path

    page = (Path(__file__).resolve().parents[3] / "docs" / "how-to" / "run-on-a-cluster.md").read_text()
    floor = cost.floor_monthly(spec({}))
    alone = instances.gateway_hourly() * HOURS
    shared = cost.floor_monthly(spec({}, platform="company"))
    for dollars in (floor, alone, shared, floor - alone):
        assert f"${dollars:.0f}" in page
    less = instances.hourly(endpoint()).max - cost.hourly(endpoint()).max
    assert f"${less:.2f}" in page
    assert f"{(floor - alone) / less:,.0f} hours" in page
