"""What an instance is to the fleet: a pure function of what AWS, its host and its container say.

observed(instance, report)   # Observed("loading", "reading sd_xl_base_1.0 from the store")
"""

from __future__ import annotations

from dataclasses import dataclass

from easel.gateway.replicas import ReplicaState, Report
from easel.gateway.replicas.aws.auto_scaling_group import Ec2Instance, GroupInstance

# What a host is at, if it gives no `easel:why`.
_PHASES = {
    "booting": "the instance boots",
    "pulling": "fetching the container image",
    "loading": "starting the container and loading the checkpoint",
    "ready": "waiting for the container to answer",
}
_GONE = ("Terminated", "Detached", "Terminating:Retained")
_STANDBY = ("Standby", "EnteringStandby")


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
        return Observed(
            "failed", f"{instance.place}: somebody put it on standby; take it out, or terminate it"
        )
    if instance.leaving or (instance.ec2 and instance.ec2.power in ("shutting-down", "terminated")):
        return Observed("draining", _ending(instance))
    return _reported(report) if report is not None else _starting(instance)


def _reported(report: Report) -> Observed:
    if report.phase == "ready":
        return Observed("ready", report.detail or "ready")
    if report.phase == "failed":
        return Observed("failed", report.detail or "the container says it failed, and not why: read its log")
    # Here "starting" is the machine and its image; a container that imports is past that.
    return Observed("loading", report.detail or "loading the checkpoint")


def _starting(instance: GroupInstance) -> Observed:
    """One whose container says nothing: AWS or the host has the word."""
    ec2, where = instance.ec2, instance.place
    halted = ec2 is not None and ec2.power in ("stopping", "stopped")
    if halted and not (instance.lifecycle.startswith("Pending") or instance.lifecycle == ""):
        return Observed("failed", f"{where} was stopped from outside; its group replaces it")
    if ec2 is None or ec2.power in ("", "pending"):
        return Observed("starting", f"AWS launches {where}")
    # A warm one still shows what its host said before it was stopped.
    warm = halted or (ec2.why.startswith("prepared") and ec2.phase != "failed" and instance.healthy)
    return Observed("starting", f"starting a warm {where}") if warm else _hosted(instance, ec2)


def _hosted(instance: GroupInstance, ec2: Ec2Instance) -> Observed:
    if ec2.phase == "failed":
        return Observed("failed", ec2.why or "the host says it failed, and not why: read its log")
    if not instance.healthy:
        return Observed("failed", f"{instance.place} is unhealthy; its group replaces it")
    state: ReplicaState = "loading" if ec2.phase in ("loading", "ready") else "starting"
    return Observed(state, ec2.why or _PHASES.get(ec2.phase, "the instance boots"))


def _ending(instance: GroupInstance) -> str:
    reason = instance.ec2.reason if instance.ec2 else ""
    spot = instance.ec2 is not None and instance.ec2.spot
    if "spot" in reason.lower():
        return "AWS takes the spot instance back"
    if reason and not reason.startswith("Client.User"):
        return f"AWS ends it: {reason}"
    return "AWS ends the spot instance" if spot and not instance.healthy else "stopping"
