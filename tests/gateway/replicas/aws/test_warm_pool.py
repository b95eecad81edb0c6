"""Prepared instances follow a new image: one at a time, at rest, within limits, told in words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from easel.gateway.config import Budget
from tests.gateway.replicas.aws.conftest import QUICK, InstancesStage
from tests.gateway.replicas.aws.region import wait
from tests.gateway.replicas.backend_suite import are, post, until

pytestmark = pytest.mark.anyio

OLD = "111122223333.dkr.ecr.us-east-1.amazonaws.com/easel/images@sha256:" + "a" * 64
NEW = OLD.replace("a" * 64, "b" * 64)


async def prepared(build: Callable[..., Any], count: int = 2, **settings: Any) -> InstancesStage:
    """A group of `count` prepared instances, which hold the image that is configured."""
    # AWS takes longer to think of a successor than the gateway waits for its own word to show.
    timeouts = replace(QUICK, scale_in_lag=0.2)
    stage: InstancesStage = await build(container={"image": OLD}, timeouts=timeouts, **settings)
    stage.hosts.image = OLD
    instances = stage.endpoint.instances
    assert instances is not None
    stage.endpoint = stage.endpoint.model_copy(
        update={"instances": instances.model_copy(update={"warm": count})}
    )
    await stage.backend.follow(stage.endpoint)
    stage.region.warm(stage.group)
    (first,) = stage.region.states(stage.group)
    stage.region.ec2.create_tags([first.instance.id], {"easel:image": OLD})
    stage.rules.prepared = count
    wait(lambda: stopped(stage) == count)
    return stage


def stopped(stage: InstancesStage) -> int:
    return stage.region.lifecycles(stage.group).count("Warmed:Stopped")


def images(stage: InstancesStage) -> list[str]:
    """What the prepared instances hold."""
    found = stage.region.client("ec2").describe_instances(
        InstanceIds=[state.instance.id for state in stage.region.states(stage.group)]
    )["Reservations"]
    tags = [{tag["Key"]: tag["Value"] for tag in one["Instances"][0]["Tags"]} for one in found]
    return [one.get("easel:image", "") for one in tags]


async def configure(stage: InstancesStage, image: str) -> None:
    """`pulumi up` names another image."""
    container = stage.endpoint.container
    assert container is not None
    stage.hosts.image = image
    changed = {"container": container.model_copy(update={"image": image})}
    stage.endpoint = stage.endpoint.model_copy(update=changed)
    await stage.backend.follow(stage.endpoint)


async def watch(stage: InstancesStage, true: Callable[[], bool], seconds: float = 20.0) -> int:
    """Looks as the fleet does until `true()`; the fewest instances that stood ready meanwhile."""
    fewest = stopped(stage)
    async with asyncio.timeout(seconds):
        while not true():
            await stage.backend.replicas("studio")
            fewest = min(fewest, stopped(stage))
            await asyncio.sleep(0.03)
    return fewest


async def test_prepared_instances_follow_a_new_image_one_at_a_time(build: Callable[..., Any]) -> None:
    """Never more than one is away, each is told of, and then it is over."""
    stage = await prepared(build)
    await watch(stage, lambda: True)
    assert stage.texts("prepared") == []
    await configure(stage, NEW)
    fewest = await watch(stage, lambda: images(stage) == [NEW, NEW] and stopped(stage) == 2)
    assert fewest == 1
    await watch(stage, lambda: "every prepared instance holds the image" in " ".join(stage.texts("prepared")))
    assert sum("another is prepared in its place" in text for text in stage.texts("prepared")) == 2
    calls = stage.faults.asked.count("set_instance_health")
    await asyncio.sleep(0.6)
    await watch(stage, lambda: True)
    assert stage.faults.asked.count("set_instance_health") == calls == 2
    assert stage.texts("failed") == stage.texts("health") == []


async def test_nothing_is_replaced_while_somebody_draws(build: Callable[..., Any]) -> None:
    """A start that comes meanwhile must find the other one; once it is quiet for a while, it is done."""
    stage = await prepared(build)
    await stage.backend.set_capacity("studio", 1)
    (replica,) = await until(stage, are("ready"))
    await post(replica, running=1)
    await until(stage, lambda replicas: any(one.work and one.work.running for one in replicas))
    await configure(stage, NEW)
    with pytest.raises(TimeoutError):
        await watch(stage, lambda: "set_instance_health" in stage.faults.asked, 0.8)
    await post(replica, running=0)
    await watch(stage, lambda: "set_instance_health" in stage.faults.asked)
    assert [one.id for one in await stage.backend.replicas("studio")] == [replica.id], "it goes on"


async def test_an_image_that_never_comes_is_not_tried_for_ever(build: Callable[..., Any]) -> None:
    """A host that tags nothing, or another image: twice, then a sentence and no more GPU hours."""
    stage = await prepared(build, 1)
    await configure(stage, NEW)
    stage.hosts.image = OLD
    await watch(stage, lambda: "still do not hold" in " ".join(stage.texts("prepared")), 30)
    assert stage.faults.asked.count("set_instance_health") == 2
    await watch(stage, lambda: stopped(stage) == 1)
    assert stage.faults.asked.count("set_instance_health") == 2


async def test_a_spent_budget_prepares_nothing(build: Callable[..., Any]) -> None:
    """What is replaced runs on a GPU for minutes."""

    class Overspent:
        due = False

        def count(self, *_: object) -> None: ...

        def save(self) -> None: ...

        def over(self, *_: object) -> str:
            return "the budget is spent"

    budget = Budget(monthly=1, stop=True)
    stage = await prepared(build, 1, spending=Overspent(), budget=lambda: budget)
    await configure(stage, NEW)
    with pytest.raises(TimeoutError):
        await watch(stage, lambda: "set_instance_health" in stage.faults.asked, 0.8)
