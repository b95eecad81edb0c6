# ruff: noqa: E501 - AWS's sentences stay whole, as one would search for them
"""What AWS, hosts and containers say, as states and sentences: pure functions."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from easel.gateway.aws.calls import aws_error
from easel.gateway.language import language
from easel.gateway.replicas.aws.activities import HOPELESS, notice
from easel.gateway.replicas.aws.auto_scaling_group import Ec2Instance, GroupInstance, read_ec2, read_group
from easel.gateway.replicas.aws.host_words import host_words
from easel.gateway.replicas.aws.observed_state import observed
from easel.gateway.replicas.backend import Work
from easel.gateway.replicas.probe import Report

_MODEL = botocore.session.get_session().get_service_model("autoscaling")
LIFECYCLES = list(_MODEL.shape_for("LifecycleState").enum)  # type: ignore[attr-defined]
POWERS = ["pending", "running", "shutting-down", "terminated", "stopping", "stopped"]
machines = st.builds(
    Ec2Instance,
    power=st.sampled_from(POWERS),
    address=st.sampled_from([None, "10.0.0.1"]),
    phase=st.sampled_from(["", "booting", "pulling", "loading", "ready", "failed", "strange"]),
    why=st.text(max_size=40),
    reason=st.sampled_from(["", "Server.SpotInstanceTermination: SpotFallback instance termination", "Client.UserInitiatedShutdown: x"]),
    spot=st.booleans(),
)  # fmt: skip
members = st.builds(
    GroupInstance,
    id=st.just("i-0123456789abcdef0"),
    lifecycle=st.sampled_from([*LIFECYCLES, "SomethingNew"]),
    type=st.sampled_from(["", "g5.2xlarge"]),
    zone=st.sampled_from(["", "us-east-1a"]),
    healthy=st.booleans(),
    ec2=st.none() | machines,
)
reports = st.none() | st.builds(
    Report, phase=st.sampled_from(["importing", "loading", "ready", "failed"]), detail=st.text(max_size=20),
    work=st.just(Work()),
)  # fmt: skip


@given(members, reports)
def test_every_instance_has_one_state_with_words(member: GroupInstance, report: Report | None) -> None:
    """Whatever AWS says: a known state with a sentence, or no replica; ready only by the container's word."""
    found = observed(member, report)
    if member.warm:
        assert found is None
        return
    if found is None:
        assert member.lifecycle in ("Terminated", "Detached", "Terminating:Retained")
        return
    assert found.state in ("starting", "loading", "ready", "draining", "failed")
    assert found.detail
    if found.state == "ready":
        assert report is not None
        assert report.phase == "ready"
    if member.lifecycle.startswith("Terminating"):
        assert found.state == "draining"
    # What desired capacity counts and what is leaving never overlap.
    assert not (member.active and member.leaving)


@pytest.mark.parametrize(
    ("lifecycle", "power", "phase", "state"),
    [
        ("Pending", None, "", "starting"),
        ("Pending", "stopped", "ready", "starting"),
        ("Pending:Wait", "running", "pulling", "starting"),
        ("InService", "running", "loading", "loading"),
        ("InService", "running", "ready", "loading"),
        ("InService", "running", "failed", "failed"),
        ("InService", "stopped", "ready", "failed"),
        ("InService", "shutting-down", "ready", "draining"),
        ("Standby", "running", "ready", "failed"),
    ],
)
def test_states(lifecycle: str, power: str | None, phase: str, state: str) -> None:
    """The way an instance goes, without its container's word."""
    known = Ec2Instance(power=power, phase=phase) if power else None
    found = observed(GroupInstance("i-1", lifecycle, ec2=known), None)
    assert found is not None
    assert found.state == state


@pytest.mark.parametrize("phase", ["", "pulling", "loading", "ready"])
def test_one_that_its_group_holds_for_unhealthy_failed(phase: str) -> None:
    """Whatever its host is at: nobody waits for one that is about to be replaced. Its container's word counts
    before it, for AWS hears late of one that is well again."""
    known = Ec2Instance(power="running", phase=phase)
    member = GroupInstance("i-1", "InService", type="g5.xlarge", healthy=False, ec2=known)
    found = observed(member, None)
    assert found is not None
    assert (found.state, found.detail) == ("failed", "g5.xlarge is unhealthy; its group replaces it")
    answered = observed(member, Report(phase="ready", detail="", work=Work()))
    assert answered is not None
    assert answered.state == "ready"


def test_what_a_warm_one_said_before_it_slept_is_not_told_again() -> None:
    """A warm instance that is started again still carries the tags of its last evening."""
    known = Ec2Instance(power="running", phase="pulling", why="prepared: stopped until somebody draws")
    found = observed(GroupInstance("i-1", "Pending:Wait", type="g5.xlarge", ec2=known), None)
    assert found is not None
    assert found.detail == "starting a warm g5.xlarge"


def activity(message: str = "", status: str = "Failed", **more: Any) -> dict[str, Any]:
    return {
        "ActivityId": "a", "StatusCode": status, "StatusMessage": message, "StartTime": datetime.now(UTC),
        "Description": "Launching a new EC2 instance: i-0123456789abcdef0", "Cause": "At 2026-11-22T10:00:00Z …",
        "Details": json.dumps({"Availability Zone": "us-east-1a"}), **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Could not launch On-Demand Instances. InsufficientInstanceCapacity - There is no capacity. "
         "Launching EC2 instance failed.", "capacity"),
        ("We currently do not have sufficient p3.2xlarge capacity in the Availability Zone you requested (us-east-1b)."
         " Launching EC2 instance failed.", "capacity"),
        ("Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity due to your request "
         "configuration. Launching EC2 instance failed.", "spot"),
        ("Could not launch Spot Instances. SpotMaxPriceTooLow - Your Spot request price of 0.1 is lower than the "
         "minimum required Spot request fulfillment price of 0.3. Launching EC2 instance failed.", "spot"),
        ("Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance count exceeded. "
         "Launching EC2 instance failed.", "spot-quota"),
        ("You have requested more vCPU capacity than your current vCPU limit of 0 allows for the instance bucket that "
         "the specified instance type belongs to. Launching EC2 instance failed.", "quota"),
        ("Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more vCPU capacity than your "
         "current vCPU limit of 8 allows. Launching EC2 instance failed.", "full"),
        ("You have requested more instances (1) than your current instance limit of 0 allows for the specified instance "
         "type. InstanceLimitExceeded. Launching EC2 instance failed.", "quota"),
        ("Could not launch On-Demand Instances. InvalidParameterCombination - The specified instance type is not "
         "eligible for Free Tier. For a list of Free Tier instance types, run 'describe-instance-types' with the filter "
         "'free-tier-eligible=true'. Launching EC2 instance failed.", "plan"),
        ("The AMI ID ami-1 does not exist. Launching EC2 instance failed.", "image"),
        ("AMI ami-1 is pending, and cannot be run. Launching EC2 instance failed.", "image"),
        ("The requested configuration is currently not supported. Please check the documentation for supported "
         "configurations. Launching EC2 instance failed.", "template"),
        ("Your requested instance type (g5.2xlarge) is not supported in your requested Availability Zone (us-east-1e).",
         "capacity"),
        ("Could not launch On-Demand Instances. Unsupported - Your requested instance type (g6.xlarge) is not supported "
         "in your requested Availability Zone (us-east-1e). Please retry your request by not specifying an Availability "
         "Zone or choosing us-east-1a, us-east-1b. Launching EC2 instance failed.", "capacity"),
        ("The security group sg-1 does not exist. Launching EC2 instance failed.", "template"),
        ("Client.InternalError: Client error on launch.", "key"),
        ("Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state.", "key"),
        ("You are not authorized to perform this operation. UnauthorizedOperation", "denied"),
        ("Instance failed to complete user's Lifecycle Action: Lifecycle Action with token 1-2 was abandoned: "
         "Heartbeat Timeout", "abandoned"),
        ("Something that nobody wrote down yet.", "launch"),
    ],
)  # fmt: skip
def test_why_nothing_starts(message: str, kind: str) -> None:
    """AWS's words have a kind, advice and the zone, and stay readable themselves."""
    found = notice(activity(message))
    assert found is not None
    assert found.kind == kind
    assert message.split(". Launching")[0][:60].rstrip(".") in found.text
    assert "us-east-1a" in found.text
    assert found.hopeless == (kind in HOPELESS)
    assert found.instance == "i-0123456789abcdef0"


@given(limit=st.integers(0, 2000), least=st.integers(1, 192))
def test_a_quota_is_hopeless_only_below_the_smallest_type(limit: int, least: int) -> None:
    """At or above it a replica may start once something else stops, perhaps on a smaller type."""
    sentence = (
        f"You have requested more vCPU capacity than your current vCPU limit of {limit} allows for the instance bucket "
        "that the specified instance type belongs to. Launching EC2 instance failed."
    )
    found = notice(activity(sentence), least)
    assert found is not None
    assert found.hopeless == (limit < least)
    assert (f"quota of {limit} vCPUs is used up" in found.text) == (limit >= least)


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("an instance was taken out of service in response to an EC2 health check indicating it has been terminated "
         "or stopped.", "outside of Easel"),
        ("an instance was taken out of service in response to an EC2 instance status checks failure.", "own checks"),
        ("an instance was taken out of service in response to an EC2 Spot Instance interruption.", "spot instance"),
        ("an instance was taken out of service in response to an EC2 instance rebalance recommendation.", "may take"),
    ],
)  # fmt: skip
def test_why_one_ended(cause: str, words: str) -> None:
    """An end that we did not ask for has its reason."""
    found = notice(
        activity("", "Successful", Description="Terminating EC2 instance: i-0123456789abcdef0", Cause=cause)
    )
    assert found is not None
    assert found.kind == "health"
    assert words in found.text


def test_what_goes_well_says_nothing() -> None:
    """A launch that works and an end that was asked for are no events."""
    assert notice(activity("", "Successful")) is None
    assert (
        notice(
            activity("", "Successful", Description="Terminating EC2 instance: i-1", Cause="a user request")
        )
        is None
    )


@given(
    st.dictionaries(
        st.sampled_from(["StatusCode", "StatusMessage", "Details", "Cause", "Description"]), st.text()
    )
)
def test_any_activity_can_be_read(fields: dict[str, str]) -> None:
    """AWS may write what it likes."""
    found = notice(fields)
    assert found is None or found.text


@pytest.mark.parametrize(
    ("why", "german"),
    [
        ("", ""),
        ("starting the container", "startet den Container"),
        ("prepared: stopped until somebody draws", "vorbereitet: angehalten, bis jemand zeichnet"),
        (
            "interrupted: AWS takes this spot instance back at 2026-11-30T14:00:00Z",
            "unterbrochen: AWS nimmt diese Spot-Instanz um 2026-11-30T14:00:00Z zurück",
        ),
        (
            "the container says that it failed: no GPU",
            "der Container meldet, dass er gescheitert ist: no GPU",
        ),
        ("no answer within 900 s: loading xl /2", "keine Antwort in 900 s: loading xl /2"),
        ("cannot pull a.b/c@sha256:1: denied", "a.b/c@sha256:1 lässt sich nicht holen: denied"),
        ("cannot make the container: x", "der Container lässt sich nicht anlegen: x"),
        ("models of fs-1 does not answer", "models of fs-1 antwortet nicht"),
        ("start 3 after: the container ended code 1", "Start 3 nach: the container ended code 1"),
        ("public.ecr.aws/easel/studio:1", "public.ecr.aws/easel/studio:1"),
    ],
)
def test_a_hosts_tag_is_said_in_german(why: str, german: str) -> None:
    """Of the few sentences that hosts tag; what they quote, and what is not known, stays as it is."""
    said = host_words(why)
    assert said == why
    assert language("de").say(said) == german


def test_described_as_aws_does() -> None:
    """The fields that a group and its machines are read from, in the shapes of AWS's own service models."""
    told = read_ec2(
        {
            "InstanceId": "i-1", "State": {"Name": "running"}, "PrivateIpAddress": "10.0.0.9",
            "LaunchTime": datetime(2026, 11, 22, tzinfo=UTC), "InstanceLifecycle": "spot",
            "Tags": [{"Key": "easel:phase", "Value": "ready"}, {"Key": "easel:why", "Value": "well"}],
        }
    )  # fmt: skip
    assert (told.power, told.address, told.phase, told.why, told.spot) == (
        "running",
        "10.0.0.9",
        "ready",
        "well",
        True,
    )
    found = read_group(
        {
            "AutoScalingGroupName": "g", "DesiredCapacity": 2, "MaxSize": 3,
            "Tags": [{"Key": "easel:capacity", "Value": "spot-first"}],
            "MixedInstancesPolicy": {"InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 100}},
            "Instances": [{"InstanceId": "i-1", "LifecycleState": "InService", "ProtectedFromScaleIn": True}],
        },
        [{"InstanceId": "i-2", "LifecycleState": "Warmed:Stopped"}],
        {"i-1": told},
    )  # fmt: skip
    assert [(m.id, m.active, m.warm) for m in found.instances] == [("i-1", True, False), ("i-2", False, True)]
    assert (found.spot_first, found.share) == (True, 100)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("Throttling", "throttled"), ("RequestLimitExceeded", "throttled"), ("SlowDown", "throttled"),
        ("AccessDenied", "denied"), ("UnauthorizedOperation", "denied"), ("ExpiredToken", "credentials"),
        ("ScalingActivityInProgress", "busy"), ("NoSuchKey", "missing"), ("Whatever", "refused"),
    ],
)  # fmt: skip
def test_refusals(code: str, kind: str) -> None:
    """Every refusal has its kind, the action by its policy's name, and no undecodable paragraph."""
    from botocore.exceptions import ClientError

    message = "no. Encoded authorization failure message: " + "x" * 900
    error = ClientError({"Error": {"Code": code, "Message": message}}, "SetDesiredCapacity")
    found = aws_error("autoscaling", "set_desired_capacity", error)
    assert found.kind == kind
    assert len(str(found)) < 400
    assert found.action == "autoscaling:SetDesiredCapacity"
    assert found.passing == (kind in ("throttled", "busy"))
