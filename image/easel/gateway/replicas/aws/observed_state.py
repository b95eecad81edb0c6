"""What an instance is to the fleet: a pure function of what AWS, its host and its container say.

observed(instance, report)   # Observed("loading", "reading sd_xl_base_1.0 from the store")
"""

from __future__ import annotations

from dataclasses import dataclass

from easel.gateway import replica_words
from easel.gateway.replicas import ReplicaState, Report
from easel.gateway.replicas.aws.activities import SPOT_TAKEN
from easel.gateway.replicas.aws.auto_scaling_group import Ec2Instance, GroupInstance
from easel.gateway.replicas.aws.host_words import host_words
from easel.remark import remark

_BOOTS = remark("host_boots", "the instance boots")
# What a host is at, if it gives no `easel:why`.
_PHASES = {
    "booting": _BOOTS,
    "pulling": remark("host_pulling", "fetching the container image"),
    "loading": remark("host_loading", "starting the container and loading the checkpoint"),
    "ready": remark("host_ready", "waiting for the container to answer"),
}
_GONE = ("Terminated", "Detached", "Terminating:Retained")
_STANDBY = ("Standby", "EnteringStandby")


_HOST_FAILED = remark("host_failed", "the host says it failed, and not why: read its log")
_SPOT_ENDS = remark("spot_ends", "AWS ends the spot instance")


def launches(place: str) -> str:
    """It is not there yet."""
    return remark("instance_launches", "AWS launches {place}", place=place)


@dataclass(frozen=True)
class Observed:
    """A state and a sentence."""

    state: ReplicaState
    detail: str


def observed(instance: GroupInstance, report: Report | None) -> Observed | None:
    """What an instance is now, `report` being its container's answer; None for what is no replica: warm ones
    and those that are gone."""
    if instance.warm or instance.lifecycle in _GONE:
        return None
    if instance.lifecycle.startswith(_STANDBY):
        words = "{place}: somebody put it on standby; take it out, or terminate it"
        return Observed("failed", remark("instance_standby", words, place=instance.place))
    if instance.leaving or (instance.ec2 and instance.ec2.power in ("shutting-down", "terminated")):
        return Observed("draining", _ending(instance))
    return _reported(report) if report is not None else _starting(instance)


def _reported(report: Report) -> Observed:
    if report.phase == "ready":
        return Observed("ready", report.detail or replica_words.READY)
    if report.phase == "failed":
        return Observed("failed", report.detail or replica_words.FAILED)
    # Here "starting" is the machine and its image; a container that imports is past that.
    return Observed("loading", report.detail or replica_words.LOADING)


def _starting(instance: GroupInstance) -> Observed:
    """One whose container says nothing: AWS or the host has the word."""
    ec2, where = instance.ec2, instance.place
    halted = ec2 is not None and ec2.power in ("stopping", "stopped")
    if halted and not (instance.lifecycle.startswith("Pending") or instance.lifecycle == ""):
        return Observed(
            "failed",
            remark(
                "instance_stopped", "{place} was stopped from outside; its group replaces it", place=where
            ),
        )
    if ec2 is None or ec2.power in ("", "pending"):
        return Observed("starting", launches(where))
    # A warm one still shows what its host said before it was stopped.
    warm = halted or (ec2.why.startswith("prepared") and ec2.phase != "failed" and instance.healthy)
    return (
        Observed("starting", remark("instance_warm", "starting a warm {place}", place=where))
        if warm
        else _hosted(instance, ec2)
    )


def _hosted(instance: GroupInstance, ec2: Ec2Instance) -> Observed:
    if ec2.phase == "failed":
        return Observed("failed", host_words(ec2.why) or _HOST_FAILED)
    if not instance.healthy:
        return Observed(
            "failed",
            remark("instance_unhealthy", "{place} is unhealthy; its group replaces it", place=instance.place),
        )
    state: ReplicaState = "loading" if ec2.phase in ("loading", "ready") else "starting"
    return Observed(state, host_words(ec2.why) or _PHASES.get(ec2.phase, _BOOTS))


def _ending(instance: GroupInstance) -> str:
    reason = instance.ec2.reason if instance.ec2 else ""
    spot = instance.ec2 is not None and instance.ec2.spot
    if "spot" in reason.lower():
        return SPOT_TAKEN
    if reason and not reason.startswith("Client.User"):
        return remark("aws_ends", "AWS ends it: {reason}", reason=reason)
    return _SPOT_ENDS if spot and not instance.healthy else replica_words.STOPPING
