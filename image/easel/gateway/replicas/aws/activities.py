"""Scaling activities in words: why AWS starts nothing, and what to do about it.

AWS says it in sentences only. They are matched by the codes and phrases of the user guide's "Troubleshoot
Amazon EC2 Auto Scaling: EC2 instance launch failures"; what matches nothing is told as AWS said it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from easel.remark import Remark, figure, remark

Kind = Literal[
    "capacity", "spot", "spot-quota", "quota", "full", "plan", "image", "template", "key", "denied",
    "abandoned", "health", "launch",
]  # fmt: skip
# Trying again changes nothing until a person does something.
HOPELESS: frozenset[Kind] = frozenset({"spot-quota", "quota", "plan", "image", "template", "key", "denied"})
_LONGEST = 500


@dataclass(frozen=True)
class Notice:
    """One sentence about the group. `id` and `at` (Unix seconds) are the activity's."""

    id: str
    at: float
    kind: Kind
    text: str
    instance: str | None = None

    @property
    def hopeless(self) -> bool:
        """Whether only a person can change it."""
        return self.kind in HOPELESS


_SHAPED: tuple[tuple[Kind, str, Remark], ...] = (
    (
        # Before "InvalidParameter…", which is its code.
        "plan",
        r"not eligible for Free Tier",
        remark(
            "aws_free_plan",
            "the AWS account is on the free plan, which has no such instances: upgrade it to the paid plan, "
            "by `aws freetier upgrade-account-plan --account-plan-type PAID` or on the console's home page",
        ),
    ),
    (
        "quota",
        r"VcpuLimitExceeded|vCPU (capacity|limit)|InstanceLimitExceeded|quota.{0,40}exceeded",
        remark(
            "aws_quota",
            "the account's quota is too small: ask for more under Service Quotas, Amazon EC2, "
            "“Running On-Demand G and VT instances” (or the family's own line; it counts vCPUs)",
        ),
    ),
    (
        "spot-quota",
        r"MaxSpotInstanceCountExceeded|Max spot instance count",
        remark(
            "aws_spot_quota",
            "the account's spot quota is too small: ask for more under Service Quotas, Amazon EC2, "
            "“All G and VT Spot Instance Requests”, or set capacity to on-demand",
        ),
    ),
    (
        "spot",
        r"SpotMaxPriceTooLow|Spot (request )?price.{0,60}lower",
        remark("aws_spot_price", "the spot price is above what is offered; the group tries again"),
    ),
    (
        "spot",
        r"no Spot capacity|Spot Instances\. (InsufficientInstance|UnfulfillableCapacity)",
        remark(
            "aws_no_spot",
            "AWS has no spot capacity now; the group tries its other zones and types, and again later",
        ),
    ),
    (
        "capacity",
        r"Insufficient(Instance|Host|Reserved\w*)?Capacity|sufficient .{0,60}capacity"
        r"|UnfulfillableCapacity",
        remark(
            "aws_no_capacity",
            "AWS has none to give now; the group tries its other zones and types, and again later",
        ),
    ),
    (
        # By the code it is "Unsupported", as is a configuration that no zone takes.
        "capacity",
        r"not supported in your requested Availability Zone",
        remark(
            "aws_not_in_zone",
            "AWS does not sell this type in that zone; the group tries its other zones and types",
        ),
    ),
    (
        "template",
        r"requested configuration is currently not supported|Unsupported",
        remark(
            "aws_nowhere", "AWS takes this type with this machine image nowhere: give the stack another shape"
        ),
    ),
    (
        "image",
        r"InvalidAMIID|(AMI|image id).{0,60}(not exist|pending|not authorized|deregistered)"
        r"|Not authorized for images",
        remark(
            "aws_image",
            "the machine image cannot be used: `easel doctor` offers a newer one; `pulumi up` sets it",
        ),
    ),
    (
        "key",
        r"KMS|Client\.InternalError|Client error on launch",
        remark(
            "aws_key",
            "the disk's encryption key cannot be used: its policy must let Auto Scaling's service role use "
            "it",
        ),
    ),
    (
        "denied",
        r"UnauthorizedOperation|not authorized to perform|AccessDenied|AuthFailure|service-linked role",
        remark(
            "aws_launch_denied",
            "Auto Scaling may not launch it: see its service-linked role and the organisation's policies",
        ),
    ),
    (
        "abandoned",
        r"Lifecycle Action.{0,120}(abandoned|ABANDON)|Heartbeat Timeout|complete user's Lifecycle",
        remark("aws_abandoned", "the instance did not become ready in time: read its log"),
    ),
    (
        "template",
        r"launch (template|configuration).{0,80}(not|invalid|no longer)|security group.{0,60}not exist"
        r"|InvalidGroup|InvalidSubnet|subnet.{0,40}not exist|Invalid(Parameter|BlockDevice)"
        r"|IamInstanceProfile|instance profile|Invalid device name",
        remark(
            "aws_template",
            "what the instance is made of does not hold together: `pulumi up --refresh` puts it right",
        ),
    ),
)
_SPOT_BACK = r"spot instance (interruption|termination)|instance termination notice"
SPOT_TAKEN = remark("spot_taken", "AWS takes the spot instance back")
_HEALTH: tuple[tuple[str, Remark], ...] = (
    (_SPOT_BACK, SPOT_TAKEN),
    (
        r"rebalance recommendation",
        remark("spot_rebalance", "AWS may take the spot instance back soon; the group replaces it"),
    ),
    (
        r"it has been terminated or stopped",
        remark("ended_outside", "the instance was stopped or ended outside of Easel"),
    ),
    (
        r"status checks? failure|system.{0,20}status check",
        remark("failed_checks", "the instance failed AWS's own checks"),
    ),
    (r"health-check|health check", remark("was_unhealthy", "the instance was unhealthy")),
)


def notice(activity: Mapping[str, Any], least_vcpus: int = 0) -> Notice | None:
    """What an activity of `DescribeScalingActivities` has to say; None for what goes as it should.

    `least_vcpus` are those of the smallest type that the group may start: a quota below it is hopeless, a
    larger one is only used up for now, by this team or another.
    """
    status = str(activity.get("StatusCode", ""))
    message = " ".join(str(activity.get("StatusMessage") or "").split())
    cause = " ".join(str(activity.get("Cause") or "").split())
    name, started = str(activity.get("ActivityId", "")), activity.get("StartTime")
    at = started.timestamp() if isinstance(started, datetime) else 0.0
    if status in ("Failed", "Cancelled") or (message and status != "Successful"):
        kind, advice = _why(message, max(1, least_vcpus))
        where = _where(activity)
        said = message.removesuffix(" Launching EC2 instance failed.")[:_LONGEST] or remark(
            "aws_activity", "the activity {status}", status=status.lower()
        )
        if advice:
            text = remark(
                "aws_advice", "{advice}{where} (AWS: {said})", advice=advice, where=where, said=said
            )
        else:
            text = remark("aws_says", "AWS{where}: {said}", where=where, said=said)
        return Notice(name, at, kind, text, instance(activity))
    if str(activity.get("Description", "")).startswith("Terminating"):
        for pattern, words in _HEALTH:
            if re.search(pattern, cause, re.IGNORECASE):
                text = remark("aws_health", "{words}{where}", words=words, where=_where(activity))
                return Notice(name, at, "health", text, instance(activity))
    return None


def instance(activity: Mapping[str, Any]) -> str | None:
    """The instance that an activity is about, if it names one."""
    found = re.search(r"\bi-[0-9a-f]{8,17}\b", str(activity.get("Description", "")))
    return found.group() if found else None


def _why(message: str, least_vcpus: int) -> tuple[Kind, str]:
    for kind, pattern, advice in _SHAPED:
        if re.search(pattern, message, re.IGNORECASE):
            return _quota(message, least_vcpus, advice) if kind == "quota" else (kind, advice)
    return "launch", ""


def _quota(message: str, least_vcpus: int, advice: str) -> tuple[Kind, str]:
    """Too small for ever, or used up for now. AWS names the limit; older sentences count instances."""
    limit = re.search(r"vCPU limit of (\d+)", message, re.IGNORECASE)
    if limit is None or int(limit[1]) < least_vcpus:
        return "quota", advice
    return "full", remark(
        "aws_quota_full",
        "the account's quota of {n} vCPUs is used up for now: it starts once something else stops, "
        "on a smaller type if the group has one, or ask for more under Service Quotas, Amazon EC2",
        n=figure(int(limit[1]), "d"),
    )


def _where(activity: Mapping[str, Any]) -> str:
    try:
        zone = json.loads(str(activity.get("Details") or "{}")).get("Availability Zone", "")
    except (ValueError, AttributeError):
        return ""
    return f" [{zone}]" if zone else ""
