"""What a team costs, before it costs anything; and what the preview and the end of `up` tell of it."""

import re
from typing import Any

import pytest

from easel.gateway.deployment import aws
from infra.cost import (
    FOLLOWS,
    GATEWAY_DISKS,
    HOURS,
    LOOKS,
    RATES,
    SECONDS_AWAKE,
    THROUGHPUT,
    floor_monthly,
    gateway_burst,
    gateway_hourly,
    hourly,
    table,
    vcpus,
)
from infra.instances import data, gateway, template, user_data
from infra.shapes import SHAPES
from infra.spec import EndpointSpec, Spec
from infra.stackfile import read_spec
from scripts.docs.cost_page import page
from tests.infra.graph import TEAM, World, provision
from tests.infra.program_stacks import STACKS, graph_of

BUDGET = {"monthly": 500, "notify": "lead@example.com"}


def spec(endpoints: dict[str, Any], team: dict[str, Any] | None = None) -> Spec:
    config = {"easel:team": {**TEAM, **(team or {})}, "easel:endpoints": endpoints}
    return read_spec("art", config, "x")


def endpoint(**fields: Any) -> EndpointSpec:
    return spec({"a": {"shape": "gpu.a10"} | fields}).endpoints["a"]


def test_asleep_an_endpoint_costs_nothing_but_its_warm_disks() -> None:
    """The promise of sleeping; a stopped instance costs its disk with the throughput it was given."""
    assert hourly(endpoint()).asleep == 0
    two = hourly(endpoint(warm=2, replicas={"max": 2})).asleep * HOURS
    assert two == pytest.approx(2 * (100 * RATES.disk + (THROUGHPUT - 125) * RATES.throughput))


def test_awake_it_costs_its_replicas() -> None:
    """Instance, public address and disk of each."""
    costs = hourly(endpoint(replicas={"min": 1, "max": 3}))
    one = costs.min
    assert SHAPES["gpu.a10"].price + RATES.address < one < SHAPES["gpu.a10"].price * 1.05
    assert costs.max == pytest.approx(3 * one)


def test_the_floor_is_the_gateway_and_what_always_runs() -> None:
    """About twenty dollars for a team that sleeps; a replica that never sleeps is in it."""
    asleep = floor_monthly(spec({"a": {"shape": "gpu.a10"}}))
    assert asleep == pytest.approx(gateway_hourly() * HOURS)
    assert 15 < asleep < 30
    awake = floor_monthly(spec({"a": {"shape": "gpu.a10", "replicas": {"min": 1}}}))
    assert awake == pytest.approx(asleep + hourly(endpoint(replicas={"min": 1})).min * HOURS)
    assert floor_monthly(spec({}, {"zone": "create"})) == pytest.approx(asleep + RATES.zone)


def test_a_busy_gateway_has_a_ceiling_and_the_floor_names_it() -> None:
    """Two processors, of which a fifth is paid for: at most eight cents an hour more."""
    assert gateway_burst() == pytest.approx(0.08)
    (gateway,) = provision({"studio": {"shape": "gpu.a10"}}).of("Instance")
    assert gateway.inputs["creditSpecification"] == {"cpuCredits": "unlimited"}, "or it would be throttled"
    assert "$0.08 an hour more at most" in table(spec({"a": {"shape": "gpu.a10"}}))


def test_the_costs_are_of_what_is_made() -> None:
    """The gateway's disks and the throughput of replicas' disks are written in two places."""
    assert gateway.ROOT + data.SIZE == GATEWAY_DISKS
    assert template.THROUGHPUT == THROUGHPUT


def test_what_is_asked_of_s3_at_rest_is_what_gateway_and_host_ask() -> None:
    """Their clocks are theirs; the price is of them."""
    assert 3600 / LOOKS == aws._ASLEEP
    assert SECONDS_AWAKE == aws._EVERY
    timer = (user_data.HOST / "units" / "easel-follow.timer").read_text()
    assert "OnUnitInactiveSec=1min" in timer
    assert FOLLOWS == 60


COUNTED = {
    "Instance": "gateway instance", "Eip": "its public address", "Volume": "its disks",
    "MetricAlarm": "the alarm", "BucketObjectv2": "in S3", "Zone": "hosted zone", "FileSystem": "GB of files",
    "BackupPolicy": "its backup", "LogGroup": "GB of logs", "Bake": "images in ECR", "Group": "## Awake",
}  # fmt: skip
"""Kinds that are paid for, and the words for them on the page."""

FREE = {
    # Of no price of their own: what is in a bucket is kilobytes, a project costs while it builds, and budgets
    # that only send mail are free.
    "Bucket", "BucketPolicy", "BucketPublicAccessBlock", "BucketServerSideEncryptionConfiguration",
    "BucketVersioning", "BucketLifecycleConfiguration", "Project", "Budget", "Vpc", "Subnet",
    "InternetGateway", "RouteTable", "RouteTableAssociation", "VpcEndpoint", "DefaultSecurityGroup",
    "SecurityGroup", "SecurityGroupIngressRule", "SecurityGroupEgressRule", "MountTarget", "AccessPoint",
    "FileSystemPolicy", "Role", "RolePolicy", "InstanceProfile", "LaunchTemplate", "VolumeAttachment",
    "EipAssociation", "Record", "Token", "LifecycleHook",
}  # fmt: skip


@pytest.mark.parametrize("stack", STACKS)
def test_everything_that_stands_has_its_price_on_the_page(stack: str) -> None:
    """A kind of resource that is new is free with a reason, or is counted."""
    kinds = {node.short for node in graph_of(stack).nodes if node.custom}
    assert kinds <= COUNTED.keys() | FREE, kinds - COUNTED.keys() - FREE
    for kind in kinds & COUNTED.keys():
        assert COUNTED[kind] in page(), kind


def test_secrets_that_the_stack_names_are_in_the_floor() -> None:
    """Each once, whoever reads it."""
    arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:a-AbCdEf"
    one = {"shape": "gpu.t4", "secrets": {"HF_TOKEN": arn}}
    without = floor_monthly(spec({"a": {"shape": "gpu.t4"}}))
    assert floor_monthly(spec({"a": one, "b": one})) == pytest.approx(without + RATES.secret)


def test_what_nobody_reads_gets_cheaper_and_comes_back() -> None:
    """Pictures of last year at a twentieth of the price; an adopted file system is left as it is."""
    (files,) = graph_of("one").of("FileSystem")
    assert files.inputs["lifecyclePolicies"] == [
        {"transitionToIa": "AFTER_30_DAYS"},
        {"transitionToPrimaryStorageClass": "AFTER_1_ACCESS"},
    ]
    assert not graph_of("adopted").of("FileSystem")


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({"replicas": {"max": 3}}, {"L-DB2E81BA": (24, 48, 4)}),
        ({"replicas": {"max": 3}, "warm": 1}, {"L-DB2E81BA": (24, 48, 4)}),
        ({"replicas": {"max": 3}, "capacity": "spot"}, {"L-3819A6DF": (24, 48, 4)}),
        (
            {"replicas": {"max": 3}, "capacity": "spot-first"},
            {"L-DB2E81BA": (24, 48, 4), "L-3819A6DF": (24, 48, 4)},
        ),
        ({"shape": "gpu.h100"}, {"L-417A185B": (16, 16, 16)}),
        ({"shape": "gpu.h100", "capacity": "spot"}, {"L-C4BD4855": (16, 16, 16)}),
        ({"shape": "cpu.small"}, {"L-1216C47A": (2 + 2, 2 + 2, 2)}),
    ],
)
def test_vcpus_are_counted_by_the_quota_that_they_fall_under(
    fields: dict[str, Any], needs: dict[str, tuple[int, int, int]]
) -> None:
    """G and P, spot and on demand have quotas of their own, spot P5 too; the gateway is of the standard one.

    With the preferred types, with the largest in their place, and below which nothing starts.
    """
    asked = vcpus(spec({"a": {"shape": "gpu.a10"} | fields}))
    found = {quota.code: (need.needed, need.most, need.least) for quota, need in asked.items()}
    assert found == {"L-1216C47A": (2, 2, 2)} | needs


def test_the_table_has_a_line_for_each_endpoint() -> None:
    """In columns, with what is a ceiling marked as one."""
    endpoints = {"a": {"shape": "gpu.a10"}, "portraits": {"shape": "gpu.l40s", "capacity": "spot"}}
    head, first, second, floor = table(spec(endpoints)).splitlines()
    assert first.startswith("a ")
    assert re.search(r"portraits +gpu\.l40s +g6e\.2xlarge +0\.\.1 +0\.000 +0\.00 +≤ 2\.28", second)
    assert head.index("shape") == first.index("gpu.a10") == second.index("gpu.l40s")
    assert floor.startswith("Floor $")


def test_the_preview_shows_costs_and_quotas_and_the_up_after_it_does_not() -> None:
    """Before anything is bought, and once."""
    told = "\n".join(provision({"studio": {"shape": "gpu.a10"}}, preview=True).said)
    assert re.search(r"studio +gpu\.a10 +g5\.2xlarge", told)
    assert "8 of 64 vCPUs of on-demand G and VT instances" in told
    assert "; 16 where larger types stand in" in told
    assert re.search(r"\b8, or 16$", told, re.MULTILINE)
    assert not provision({"studio": {"shape": "gpu.a10"}}).said


def test_a_quota_that_is_too_small_is_warned_of_with_where_to_ask() -> None:
    """The first fault of every new account: its quota of GPUs is 0."""
    world = World(quotas={"L-DB2E81BA": 0})
    told = "\n".join(provision({"studio": {"shape": "gpu.a10"}}, world=world, preview=True).said)
    assert "need 8 vCPUs of on-demand G and VT instances at most; 16 where larger types" in told
    assert "and AWS allows 0: some will not start" in told
    assert "?region=us-east-1#!/services/ec2/quotas/L-DB2E81BA" in told


def test_quotas_that_may_not_be_read_stop_nobody() -> None:
    """A role for CI is often not allowed to; the need is told all the same."""
    told = "\n".join(provision({"studio": {"shape": "gpu.a10"}}, world=World(quotas=None), preview=True).said)
    assert "8 vCPUs of on-demand G and VT instances at most; 16 where larger types stand in" in told
    assert "; what AWS allows could not be read" in told


def test_outputs_say_where_what_and_what_next() -> None:
    """Each endpoint with address, shape, replicas, dollars; the team with console, floor, storage."""
    graph = provision({"studio": {"shape": "gpu.a10", "replicas": {"max": 2}}}, {"budget": BUDGET})
    studio = graph.outputs["endpoints"]["studio"]
    assert studio["url"] == "https://studio.art.example.com"
    assert studio["link"].startswith("https://studio.art.example.com/?token=easel_")
    assert (studio["shape"], studio["replicas"]) == ("gpu.a10", {"min": 0, "max": 2})
    assert studio["dollars_per_hour"]["asleep"] == 0
    assert studio["dollars_per_hour"]["max"] == pytest.approx(
        hourly(endpoint(replicas={"max": 2})).max, abs=1e-4
    )
    assert graph.outputs["console"]["url"] == "https://console.art.example.com"
    assert graph.outputs["console"]["link"].startswith("https://console.art.example.com/?token=easel_")
    assert 15 < graph.outputs["floor_per_month"] < 30
    assert set(graph.outputs["storage"]) == {"file_system", "models", "configuration"}
    assert any("easel token" in step for step in graph.outputs["next"])


def test_what_destroy_keeps_is_named() -> None:
    """With how it is had again: what nobody knows of is paid for for ever."""
    graph = provision({"studio": {"shape": "gpu.a10"}})
    kept = "\n".join(graph.outputs["kept_by_destroy"])
    storage = graph.outputs["storage"]
    assert f"easel:team.storage.existing: {storage['file_system']}" in kept
    assert "aws backup list-recovery-points-by-resource --resource-arn arn:aws:elasticfilesystem:" in kept
    for node in graph.nodes:
        if node.retained and node.short == "Volume":
            assert f"easel:team.storage.gateway: volume-{node.name}" in kept


def test_the_alarm_counts_the_teams_own_and_says_what_must_be_done_first() -> None:
    """By the tag, which AWS counts only once it is activated for the account."""
    graph = provision({"studio": {"shape": "gpu.a10"}}, {"budget": BUDGET}, preview=True)
    (budget,) = graph.of("Budget")
    assert budget.inputs["limitAmount"] == "500"
    assert budget.inputs["costFilters"] == [{"name": "TagKeyValue", "values": ["user:easel:team$art"]}]
    for notice in budget.inputs["notifications"]:
        assert notice["subscriberEmailAddresses"] == ["lead@example.com"]
    assert any("activate it once" in line for line in graph.said)
    assert not provision({"studio": {"shape": "gpu.a10"}}).of("Budget")
