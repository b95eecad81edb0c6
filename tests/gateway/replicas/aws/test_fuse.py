"""The fuse in a whole backend: what is awake is counted, and past the budget nothing wakes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest

from easel.gateway.aws.bucket import Bucket
from easel.gateway.aws.calls import Aws
from easel.gateway.config import Budget
from easel.gateway.replicas.spending import Spending
from tests.gateway.replicas.backend_suite import are, post, until

pytestmark = pytest.mark.anyio
_names = itertools.count(1)


@pytest.fixture
def spent(aws: Aws) -> Spending:
    bucket = f"easel-fuse-{next(_names)}"
    aws.client("s3").create_bucket(Bucket=bucket)
    return Spending(Bucket(aws, bucket), print)


async def test_past_the_budget_nothing_wakes(build: Callable[..., Any], spent: Spending) -> None:
    """The reason stands where a waking replica would; a raised budget wakes again."""
    budget = [Budget(monthly=1, stop=True)]
    stage = await build(spending=spent, budget=lambda: budget[0])
    spent.count("other", 3600, [time.time() - 2], time.time())
    await stage.backend.set_capacity("studio", 1)
    (replica,) = await stage.backend.replicas("studio")
    assert (replica.state, replica.given_up) == ("failed", True)
    assert "budget" in replica.detail
    assert "pulumi up" in replica.detail
    assert stage.region.desired(stage.group) == 0
    # By hand it does not wake either: that is what a fuse is for.
    await stage.backend.revive("studio")
    assert stage.region.desired(stage.group) == 0
    budget[0] = Budget(monthly=1000, stop=True)
    await until(stage, are())
    await stage.backend.set_capacity("studio", 1)
    await until(stage, are("ready"))
    assert [text for text in stage.texts("budget") if "room again" in text]


async def test_what_runs_finishes_its_pictures(build: Callable[..., Any], spent: Spending) -> None:
    """When it blows nobody's picture is lost: replicas drain, `replicas.min` or not."""
    budget = [Budget(monthly=1, stop=True)]
    stage = await build(spending=spent, budget=lambda: budget[0])
    await stage.backend.set_capacity("studio", 1)
    (replica,) = await until(stage, are("ready"))
    await post(replica, running=1)
    await until(stage, lambda replicas: replicas[0].work and replicas[0].work.running)
    spent.count("other", 3600, [time.time() - 2], time.time())
    await until(stage, are("draining"))
    assert stage.hosts.alive() == 1
    await post(replica, running=0)
    await until(stage, are())
    assert stage.region.desired(stage.group) == 0


async def test_without_stop_the_budget_only_rings(build: Callable[..., Any], spent: Spending) -> None:
    """`stop: false` is an alarm and no fuse."""
    stage = await build(spending=spent, budget=lambda: Budget(monthly=1))
    spent.count("other", 3600, [time.time() - 2], time.time())
    await stage.backend.set_capacity("studio", 1)
    await until(stage, are("ready"))
    assert spent.dollars(time.time()) > 2


async def test_warm_ones_count_while_they_run(build: Callable[..., Any], spent: Spending) -> None:
    """A stopped instance costs no GPU; one that is being prepared for the pool does."""
    stage = await build(spending=spent)
    warm = stage.region.warm(stage.group)
    await stage.backend.replicas("studio")
    await until(stage, lambda replicas: stage.backend._counted > 1)
    assert "studio" not in spent._months.get(next(iter(spent._months), ""), {})
    stage.region.ec2.start_instances([warm])
    stage.region.states(stage.group)[0].lifecycle_state = "Warmed:Pending:Wait"
    await until(stage, lambda replicas: spent.dollars(time.time()) > 0)
    assert await stage.backend.replicas("studio") == []
