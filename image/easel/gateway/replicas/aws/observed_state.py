"""What an instance is to the fleet: a pure function of what AWS, its host and its container say.

observed(member, report)   # Observed("loading", "reading sd_xl_base_1.0 from the store")
"""

from __future__ import annotations

from dataclasses import dataclass

from easel.gateway.replicas import ReplicaState, Report
from easel.gateway.replicas.aws.auto_scaling_group import GroupInstance

# What a host is at, if it gives no `easel:why`.
_PHASES = {
    "booting": "the instance boots",
    "pulling": "fetching the container image",
    "loading": "starting the container and loading the checkpoint",
    "ready": "waiting for the container to answer",
}


@dataclass(frozen=True)
class Observed:
    """A state and a sentence."""

    state: ReplicaState
    detail: str


def observed(member: GroupInstance, report: Report | None) -> Observed | None:
    """What a member is now, `report` being its container's answer; None for what is no replica: warm ones and
    those that are gone."""
    machine, where = member.machine, member.place
    power = machine.power if machine else ""
    if member.warm or member.lifecycle in ("Terminated", "Detached", "Terminating:Retained"):
        return None
    if member.leaving:
        if member.lifecycle.startswith(("Standby", "EnteringStandby")):
            return Observed("failed", f"{where}: somebody put it on standby; take it out, or terminate it")
        return Observed("draining", _ending(member))
    if power in ("shutting-down", "terminated"):
        return Observed("draining", _ending(member))
    if report is not None:
        return _reported(report)
    pending = member.lifecycle.startswith("Pending") or member.lifecycle == ""
    if power in ("stopping", "stopped") and not pending:
        return Observed("failed", f"{where} was stopped from outside; its group replaces it")
    if machine is None or power in ("", "pending"):
        return Observed("starting", f"AWS launches {where}")
    if power in ("stopping", "stopped"):
        return Observed("starting", f"starting a warm {where}")
    if machine.phase == "failed":
        return Observed("failed", machine.why or "the host says it failed, and not why: read its log")
    if not member.healthy:
        return Observed("failed", f"{where} is unhealthy; its group replaces it")
    if machine.why.startswith("prepared"):
        # What it said before it was stopped.
        return Observed("starting", f"starting a warm {where}")
    loading = machine.phase in ("loading", "ready")
    return Observed(
        "loading" if loading else "starting", machine.why or _PHASES.get(machine.phase, "the instance boots")
    )


def _reported(report: Report) -> Observed:
    if report.phase == "ready":
        return Observed("ready", report.detail or "ready")
    if report.phase == "failed":
        return Observed("failed", report.detail or "the container says it failed, and not why: read its log")
    # Here "starting" is the machine and its image; a container that imports is past that.
    return Observed("loading", report.detail or "loading the checkpoint")


def _ending(member: GroupInstance) -> str:
    reason = member.machine.reason if member.machine else ""
    spot = member.machine is not None and member.machine.spot
    if "spot" in reason.lower():
        return "AWS takes the spot instance back"
    if reason and not reason.startswith("Client.User"):
        return f"AWS ends it: {reason}"
    return "AWS ends the spot instance" if spot and not member.healthy else "stopping"
