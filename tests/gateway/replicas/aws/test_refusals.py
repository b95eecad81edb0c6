# ruff: noqa: E501 - AWS's sentences stay whole, as one would search for them
"""AWS says no: what people are told, and what the gateway does about it."""

from __future__ import annotations

import asyncio

import pytest

from tests.gateway.replicas.aws.conftest import InstancesStage
from tests.gateway.replicas.backend_suite import A_WHILE, are, until

pytestmark = pytest.mark.anyio

NO_CAPACITY = (
    "We currently do not have sufficient g5.2xlarge capacity in the Availability Zone you requested (us-east-1a). "
    "Our system will be working on provisioning additional capacity. Launching EC2 instance failed."
)
QUOTA = (
    "You have requested more vCPU capacity than your current vCPU limit of 0 allows for the instance bucket that "
    "the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request "
    "an adjustment to this limit. Launching EC2 instance failed."
)
QUOTA_OF_8 = QUOTA.replace("limit of 0", "limit of 8")
FREE_PLAN = (
    "Could not launch On-Demand Instances. InvalidParameterCombination - The specified instance type is not eligible "
    "for Free Tier. For a list of Free Tier instance types, run 'describe-instance-types' with the filter "
    "'free-tier-eligible=true'. Launching EC2 instance failed."
)


async def test_no_capacity_is_waited_out(stage: InstancesStage) -> None:
    """Who waits reads AWS's words; once AWS has an instance again it starts, and the words were said once."""
    stage.rules.refuse = NO_CAPACITY
    await stage.backend.set_capacity("studio", 1)
    (replica,) = await until(stage, lambda replicas: replicas and "none to give" in replicas[0].detail)
    assert replica.state == "starting"
    assert "g5.2xlarge" in replica.detail
    await asyncio.sleep(A_WHILE)
    await stage.backend.replicas("studio")
    assert len(stage.texts("capacity")) == 1
    # It counts: nobody asks for a second one meanwhile.
    await stage.backend.set_capacity("studio", 1)
    assert stage.region.desired(stage.group) == 1
    stage.rules.refuse = None
    await until(stage, are("ready"))


async def test_waiting_for_capacity_can_be_called_off(stage: InstancesStage) -> None:
    """Going to sleep while AWS has nothing: the group stops asking, and nothing starts for nobody later."""
    stage.rules.refuse = NO_CAPACITY
    await stage.backend.set_capacity("studio", 2)
    replicas = await until(stage, lambda replicas: len(replicas) == 2 and "none" in replicas[0].detail)
    for replica in replicas:
        await stage.backend.drain("studio", replica.id)
    await until(stage, are())
    await until(stage, lambda replicas: stage.region.desired(stage.group) == 0)


@pytest.mark.parametrize(
    ("message", "kind", "says"),
    [
        (QUOTA, "quota", "Service Quotas"),
        (FREE_PLAN, "plan", "the free plan"),
        ("The image id '[ami-0abc]' does not exist. Launching EC2 instance failed.", "image", "easel doctor"),
        ("The security group 'sg-1' does not exist. Launching EC2 instance failed.", "template", "pulumi up"),
    ],
)
async def test_what_only_a_person_can_mend_is_given_up(
    stage: InstancesStage, message: str, kind: str, says: str
) -> None:
    """The reason stands there at once instead of a wait; the group no longer asks; `revive` tries again."""
    stage.rules.refuse = message
    await stage.backend.set_capacity("studio", 1)
    (replica,) = await until(stage, lambda replicas: replicas and replicas[0].given_up)
    assert replica.state == "failed"
    assert says in replica.detail
    assert kind in [event.kind for event in stage.backend.events.of("studio")]
    await until(stage, lambda replicas: stage.region.desired(stage.group) == 0)
    stage.rules.refuse = None
    await stage.backend.revive("studio")
    await until(stage, are("ready"))


@pytest.mark.parametrize(
    ("message", "kind", "says"),
    [
        (QUOTA_OF_8, "full", "used up for now"),
        (
            "Your requested instance type (g5.2xlarge) is not supported in your requested Availability Zone "
            "(us-east-1e). Please retry your request by not specifying an Availability Zone or choosing us-east-1a. "
            "Launching EC2 instance failed.",
            "capacity",
            "does not sell this type in that zone",
        ),
    ],
)
async def test_what_another_type_zone_or_hour_mends_is_waited_for(
    stage: InstancesStage, message: str, kind: str, says: str
) -> None:
    """A quota that the smallest type (4 vCPUs) fits into, and a zone that does not sell a type: not given up."""
    instances = stage.endpoint.instances.model_copy(update={"least_vcpus": 4})  # type: ignore[union-attr]
    await stage.backend.follow(stage.endpoint.model_copy(update={"instances": instances}))
    stage.rules.refuse = message
    await stage.backend.set_capacity("studio", 1)
    (replica,) = await until(stage, lambda replicas: replicas and says in replicas[0].detail)
    assert replica.state == "starting"
    assert kind in [event.kind for event in stage.backend.events.of("studio")]
    assert stage.region.desired(stage.group) == 1
    stage.rules.refuse = None
    await until(stage, are("ready"))


async def test_throttled_while_waking(stage: InstancesStage) -> None:
    """“Slow down” is no failure: it is asked again, and said meanwhile."""
    await stage.backend.replicas("studio")
    stage.faults["set_desired_capacity"] = ("Throttling", "Rate exceeded")
    await stage.backend.set_capacity("studio", 1)
    (replica,) = await until(stage, lambda replicas: replicas and "slower" in replicas[0].detail)
    assert replica.state == "starting"
    stage.faults.clear()
    await until(stage, are("ready"))
    assert stage.region.desired(stage.group) == 1


async def test_throttled_while_looking(stage: InstancesStage) -> None:
    """What was seen last stays; that it is old is said when that lasts, and when it is over."""
    await stage.backend.set_capacity("studio", 1)
    (before,) = await until(stage, are("ready"))
    stage.faults["*"] = ("RequestLimitExceeded", "Request limit exceeded.")
    await until(stage, lambda replicas: stage.texts("aws"))
    assert "old" in stage.texts("aws")[0]
    (after,) = await stage.backend.replicas("studio")
    assert (after.id, after.state) == (before.id, "ready")
    stage.faults.clear()
    await until(stage, lambda replicas: "answers again" in stage.texts("aws")[-1])
    assert len(stage.texts("aws")) == 2


async def test_denied_is_told_by_the_action(stage: InstancesStage) -> None:
    """A policy that lacks an action: its name is in the reason, and nobody is kept waiting."""
    await stage.backend.replicas("studio")
    stage.faults["set_desired_capacity"] = (
        "AccessDenied", "User: arn:aws:sts::1:assumed-role/x is not authorized to perform: autoscaling:SetDesiredCapacity",
    )  # fmt: skip
    await stage.backend.set_capacity("studio", 1)
    (replica,) = await until(stage, lambda replicas: replicas and replicas[0].given_up)
    assert "autoscaling:SetDesiredCapacity" in replica.detail
    stage.faults.clear()
    await stage.backend.revive("studio")
    await until(stage, are("ready"))


async def test_expired_credentials(stage: InstancesStage) -> None:
    """Nothing can be seen: said at once, with what to look at; whoever asks is told instead of held."""
    stage.faults["*"] = ("ExpiredToken", "The security token included in the request is expired")
    assert await stage.backend.replicas("studio") == []
    await stage.backend.set_capacity("studio", 1)
    (replica,) = await stage.backend.replicas("studio")
    assert replica.state == "failed"
    assert "credentials" in replica.detail
    assert any("role" in text for text in stage.texts("aws"))
    stage.faults.clear()
    await stage.backend.revive("studio")
    await until(stage, lambda replicas: not replicas or not replicas[0].given_up)


async def test_a_parting_that_aws_refuses_is_tried_again(stage: InstancesStage) -> None:
    """A GPU is not forgotten because one call was throttled."""
    await stage.backend.set_capacity("studio", 1)
    (replica,) = await until(stage, are("ready"))
    stage.faults["set_instance_protection"] = ("Throttling", "Rate exceeded")
    await stage.backend.drain("studio", replica.id)
    await until(stage, lambda replicas: any("cannot be ended yet" in text for text in stage.texts("aws")))
    stage.faults.clear()
    await until(stage, are())
    assert stage.region.desired(stage.group) == 0


async def test_a_group_that_is_not_there(stage: InstancesStage) -> None:
    """An endpoint whose group somebody deleted says so, and the others go on."""
    other = stage.endpoint.model_copy(
        update={"name": "other", "instances": stage.endpoint.instances.model_copy(update={"group": "gone"})}  # type: ignore[union-attr]
    )
    await stage.backend.follow(other)
    await stage.backend.set_capacity("other", 1)
    (replica,) = await stage.backend.replicas("other")
    assert "there is no Auto Scaling group gone" in replica.detail
    await stage.backend.set_capacity("studio", 1)
    await until(stage, are("ready"))


async def test_ten_endpoints_are_one_look(stage: InstancesStage) -> None:
    """Ten fleets that look at once ask AWS no more than one does."""
    for number in range(9):
        await stage.backend.follow(stage.endpoint.model_copy(update={"name": f"other-{number}"}))
    stage.faults.asked.clear()
    await asyncio.gather(
        *(stage.backend.replicas(name) for name in ["studio", *(f"other-{number}" for number in range(9))])
    )
    assert sorted(stage.faults.asked) == ["describe_auto_scaling_groups", "describe_instances"]
