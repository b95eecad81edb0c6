"""A group's whole life: cold and warm starts, parting, a gateway started again, spot, others' containers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from easel.gateway.config import Replicas
from easel.gateway.replicas.fleet import Fleet
from easel.gateway.replicas.open_requests import OpenRequests
from tests.gateway.replicas.aws.conftest import InstancesStage
from tests.gateway.replicas.aws.region import wait
from tests.gateway.replicas.backend_suite import A_WHILE, are, post, until

pytestmark = pytest.mark.anyio


async def looked(stage: InstancesStage, true: Callable[[], Any], seconds: float = 20.0) -> None:
    """Polls as the fleet does, until `true()`."""
    await until(stage, lambda replicas: true(), seconds)  # type: ignore[arg-type]


async def test_a_fleet_wakes_it_and_puts_it_to_sleep(build: Callable[..., Any]) -> None:
    """asleep → asked → ready → idle → asleep, by the fleet; at the end the group wants none and has none."""
    stage = await build()
    endpoint = stage.endpoint.model_copy(update={"idle": 0.5, "replicas": Replicas(min=0, max=1)})
    fleet = Fleet(endpoint, stage.backend, tick=0.05)
    await fleet.look()
    assert fleet.state == "asleep"
    fleet.ask("somebody draws")
    states = []
    deadline = time.monotonic() + 30
    while fleet.state != "asleep" or "ready" not in states:
        await fleet.look()
        if fleet.state not in states[-1:]:
            states.append(fleet.state)
        assert time.monotonic() < deadline, states
        await asyncio.sleep(0.05)
    assert states[-3:] == ["ready", "draining", "asleep"]
    assert stage.region.desired(stage.group) == 0
    assert stage.region.lifecycles(stage.group) == []
    assert stage.hosts.alive() == 0


async def test_a_warm_one_is_started_and_goes_back(build: Callable[..., Any]) -> None:
    """With a stopped instance in the pool waking starts that one; draining gives it back to the pool."""
    stage = await build()
    warm = stage.region.warm(stage.group)
    stage.rules.reuse = True
    assert await stage.backend.replicas("studio") == []
    await stage.backend.set_capacity("studio", 1)
    (replica,) = await until(stage, are("ready"))
    assert replica.id == warm
    assert len(stage.region.states(stage.group)) == 1
    await stage.backend.drain("studio", replica.id)
    await until(stage, are())
    wait(lambda: stage.region.lifecycles(stage.group) == ["Warmed:Stopped"])
    assert stage.region.desired(stage.group) == 0


async def test_exactly_the_drained_one_goes(stage: InstancesStage) -> None:
    """Lowering the capacity takes the drained one even if somebody took the other's protection away."""
    await stage.backend.set_capacity("studio", 2)
    first, second = await until(stage, are("ready", "ready"))
    stage.region.backend.set_instance_protection(stage.group, [second.id], False)
    await looked(stage, lambda: True)
    await asyncio.sleep(A_WHILE)
    await stage.backend.drain("studio", first.id)
    (left,) = await until(stage, are("ready"))
    assert left.id == second.id
    (state,) = stage.region.states(stage.group)
    assert state.protected_from_scale_in
    assert stage.region.desired(stage.group) == 1


async def test_two_drained_at_once_both_go(stage: InstancesStage) -> None:
    """Two partings do not lower the capacity by one."""
    await stage.backend.set_capacity("studio", 2)
    replicas = await until(stage, are("ready", "ready"))
    await asyncio.gather(*(stage.backend.drain("studio", one.id) for one in replicas))
    await until(stage, are())
    assert stage.region.desired(stage.group) == 0


async def test_a_full_group_keeps_one_that_drains(stage: InstancesStage) -> None:
    """At replicas.max there is no room for a new one: one that still finishes its pictures stays."""
    await stage.backend.set_capacity("studio", 2)
    first, second = await until(stage, are("ready", "ready"))
    await post(first, running=1)
    await until(stage, lambda replicas: any(one.work and one.work.running for one in replicas))
    await stage.backend.drain("studio", first.id)
    await stage.backend.set_capacity("studio", 2)
    assert {one.id for one in await until(stage, are("ready", "ready"))} == {first.id, second.id}
    assert stage.region.desired(stage.group) == 2


async def test_a_new_gateway_finds_what_runs(stage: InstancesStage) -> None:
    """Closing stops nothing; the next gateway sees the same replica and asks for no other one."""
    await stage.backend.set_capacity("studio", 1)
    (before,) = await until(stage, are("ready"))
    await stage.backend.close()
    assert stage.hosts.alive() == 1
    stage.backend = stage.new()
    await stage.backend.follow(stage.endpoint)
    await stage.backend.set_capacity("studio", 1)
    (after,) = await until(stage, are("ready"))
    assert after.id == before.id
    assert stage.region.desired(stage.group) == 1


async def test_what_aws_ends_finishes_first(stage: InstancesStage) -> None:
    """A spot instance that is taken back drains: its group waits for our word until its pictures are done."""
    await stage.backend.set_capacity("studio", 1)
    (replica,) = await until(stage, are("ready"))
    await post(replica, running=1)
    with stage.region.lock:
        (state,) = stage.region.states(stage.group)
        state.lifecycle_state = "Terminating"
        stage.region.backend.autoscaling_groups[stage.group].desired_capacity = 0
    await until(stage, are("draining"))
    await asyncio.sleep(A_WHILE)
    await stage.backend.replicas("studio")
    assert stage.region.lifecycles(stage.group) == ["Terminating:Wait"]
    await post(replica, running=0)
    await until(stage, are())
    assert stage.region.lifecycles(stage.group) == []


async def test_a_spot_notice_drains_and_makes_room(stage: InstancesStage) -> None:
    """Two minutes before AWS takes an instance its host says so: it gets no more work, and as the capacity no
    longer counts it, another one starts beside it."""
    await stage.backend.set_capacity("studio", 1)
    (replica,) = await until(stage, are("ready"))
    await post(replica, running=1)
    why = "interrupted: AWS takes this spot instance back at 2026-01-01T00:02:00Z"
    stage.region.ec2.create_tags([replica.id], {"easel:phase": "ready", "easel:why": why})
    await until(stage, are("draining"))
    assert why in [event.text for event in stage.backend.events.of("studio")]
    await stage.backend.set_capacity("studio", 1)
    await until(stage, lambda replicas: sorted(one.state for one in replicas) == ["draining", "ready"])
    await post(replica, running=0)
    (left,) = await until(stage, are("ready"))
    assert left.id != replica.id
    assert stage.region.desired(stage.group) == 1


async def test_a_host_that_cannot_is_replaced_then_given_up(stage: InstancesStage) -> None:
    """An instance whose host fails is replaced; after `attempts` it is said and nothing more is bought."""
    stage.hosts.broken = "cannot pull the image: no such digest"
    stage.rules.hook = False
    stage.timeouts = replace(stage.timeouts, repair=0.2, crash_limit=1)
    await stage.backend.close()
    stage.backend = stage.new()
    await stage.backend.follow(stage.endpoint)
    await stage.backend.set_capacity("studio", 1)
    (replica,) = await until(stage, lambda replicas: replicas and replicas[0].given_up)
    assert "no such digest" in replica.detail
    assert "gave up after 2 instances" in replica.detail
    assert "replaced" in [event.kind for event in stage.backend.events.of("studio")]
    assert stage.region.desired(stage.group) == 0
    assert stage.region.lifecycles(stage.group) == []


@pytest.mark.parametrize("health", ["/anything", None])
async def test_a_container_of_others(build: Callable[..., Any], health: str | None) -> None:
    """Without a load report a container is ready when it answers, and its work is what the door passed."""
    passing = OpenRequests()
    stage = await build(open_requests=passing, container={"load": "requests", "health": health})
    await stage.backend.set_capacity("studio", 1)
    (replica,) = await until(stage, are("ready"))
    assert replica.address
    assert replica.work
    assert replica.work.demand == 0
    number = passing.begin(replica.address)
    passing.begin(replica.address, lasting=True)
    (replica,) = await stage.backend.replicas("studio")
    assert replica.work
    assert replica.work.running == 1
    await stage.backend.drain("studio", replica.id)
    await asyncio.sleep(A_WHILE)
    assert [one.state for one in await stage.backend.replicas("studio")] == ["draining"]
    assert stage.hosts.alive() == 1
    passing.end(number)
    await until(stage, are())


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        ("InsufficientInstanceCapacity - There is no Spot capacity available for your request.", "spot"),
        ("MaxSpotInstanceCountExceeded - Max spot instance count exceeded.", "spot-quota"),
    ],
)
async def test_spot_first_buys_on_demand(
    stage: InstancesStage, monkeypatch: pytest.MonkeyPatch, refusal: str, kind: str
) -> None:
    """Where there is no spot, or no quota for it, the share of on-demand goes up, and the instance comes."""
    group = stage.region.backend.autoscaling_groups[stage.group]
    stage.region.client("autoscaling").create_or_update_tags(
        Tags=[
            {"ResourceId": stage.group, "ResourceType": "auto-scaling-group", "Key": "easel:capacity",
             "Value": "spot-first", "PropagateAtLaunch": False},
        ]
    )  # fmt: skip
    shares: list[int] = []

    async def update(operation: str, **arguments: Any) -> dict[str, Any]:
        mix = arguments["MixedInstancesPolicy"]["InstancesDistribution"]
        shares.append(mix["OnDemandPercentageAboveBaseCapacity"])
        stage.rules.refuse = None
        return {}

    aws = stage.backend._aws
    ask = aws.ask
    monkeypatch.setattr(
        aws, "ask",
        lambda service, operation, **rest: update(operation, **rest)
        if operation == "update_auto_scaling_group" else ask(service, operation, **rest),
    )  # fmt: skip
    stage.rules.refuse = f"Could not launch Spot Instances. {refusal} Launching EC2 instance failed."
    await stage.backend.set_capacity("studio", 1)
    await until(stage, are("ready"))
    assert shares == [100]
    assert any("on-demand" in text for text in stage.texts("spot"))
    assert stage.texts(kind)
    assert group.desired_capacity == 1
