"""A region of AWS on this machine: moto's server, with Auto Scaling as its user guide documents it.

moto launches and terminates at once and knows neither lifecycle hooks nor scaling activities nor the
instances of a warm pool. Here a thread takes that part: capacity is followed a moment later, instances pass
Pending and Pending:Wait, protection holds, hooks wait for their completion, a warm pool is drawn from first,
and refused launches are written down as AWS words them. Calls still travel through boto3 and HTTP.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import moto.autoscaling.models as models
import pytest
from moto.ec2.models import ec2_backends
from moto.server import ThreadedMotoServer

from tests.gateway.replicas.aws.documented_calls import DocumentedCalls

REGION = "us-east-1"
_ACCOUNT = "123456789012"
_groups = itertools.count(1)


@dataclass
class Rules:
    """How AWS treats one group, as a test wants it."""

    # Why a launch is refused, in AWS's words; None: it is not.
    refuse: str | None = None
    # Stays in Pending:Wait until somebody completes the launch hook.
    hook: bool = True
    # Terminating:Wait lasts until somebody completes the termination hook.
    farewell: bool = True
    warm: bool = False
    # Instances that drain go back to the warm pool.
    reuse: bool = False
    # So many instances the warm pool prepares by itself, running and stopped; 0: it prepares none.
    prepared: int = 0
    # When it next thinks of what is missing: some time after it went.
    thinks_at: float = 0.0
    activities: list[dict[str, Any]] = field(default_factory=list)
    completed: list[tuple[str, str]] = field(default_factory=list)
    # What was called, in order: operation and its parameters.
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


class Region:
    """One server for all tests of a session; every test has groups of its own."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.lock = threading.RLock()
        self.rules: dict[str, Rules] = {}
        # What launches and ends instances' hosts; set by a test's stage.
        self.boot: dict[str, Callable[[Any], None]] = {}
        self.halt: dict[str, Callable[[str], None]] = {}
        self._clients: dict[str, Any] = {}
        self._server = ThreadedMotoServer(port=0, verbose=False)
        self._server.start()
        _, port = self._server.get_host_and_port()
        self.url = f"http://127.0.0.1:{port}"
        self._over = threading.Event()
        # Undone at the end: other tests use moto as it is.
        self._patch = pytest.MonkeyPatch()
        DocumentedCalls(self).patch(self._patch)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service, REGION, endpoint_url=self.url,
                aws_access_key_id="test", aws_secret_access_key="test",
            )  # fmt: skip
        return self._clients[service]

    @property
    def backend(self) -> Any:
        return models.autoscaling_backends[_ACCOUNT][REGION]

    @property
    def ec2(self) -> Any:
        return ec2_backends[_ACCOUNT][REGION]

    def group(self, most: int) -> str:
        """A new group of none to `most` instances, protected when they launch."""
        name = f"easel-art-studio-{next(_groups):07x}"
        ec2, scaling = self.client("ec2"), self.client("autoscaling")
        image = next(iter(self.ec2.amis))
        ec2.create_launch_template(
            LaunchTemplateName=name, LaunchTemplateData={"ImageId": image, "InstanceType": "g5.2xlarge"}
        )
        self.rules[name] = Rules()
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=name, LaunchTemplate={"LaunchTemplateName": name, "Version": "$Latest"},
            MinSize=0, MaxSize=most, DesiredCapacity=0, AvailabilityZones=["us-east-1a"],
            NewInstancesProtectedFromScaleIn=True,
        )  # fmt: skip
        return name

    def states(self, name: str) -> list[Any]:
        """moto's records of the group's instances, warm ones too."""
        group = self.backend.autoscaling_groups.get(name)
        return list(group.instance_states) if group else []

    def lifecycles(self, name: str) -> list[str]:
        return [state.lifecycle_state for state in self.states(name)]

    def desired(self, name: str) -> int:
        return int(self.backend.autoscaling_groups[name].desired_capacity)

    def warm(self, name: str, boot: bool = True) -> str:
        """Put a stopped instance into the group's warm pool; its id."""
        self.client("autoscaling").put_warm_pool(
            AutoScalingGroupName=name, MinSize=1, PoolState="Stopped",
            InstanceReusePolicy={"ReuseOnScaleIn": True},
        )  # fmt: skip
        with self.lock:
            self.rules[name].warm = True
            state = self._launch(self.backend.autoscaling_groups[name])
            state.lifecycle_state = "Warmed:Stopped"
            self.ec2.stop_instances([state.instance.id])
            return str(state.instance.id)

    def activity(self, name: str, status: str, message: str = "", **more: Any) -> None:
        """Write a scaling activity as `DescribeScalingActivities` shows it."""
        now = datetime.now(UTC)
        self.rules[name].activities.insert(
            0,
            {
                "ActivityId": f"{len(self.rules[name].activities):08d}-{name}", "AutoScalingGroupName": name,
                "Description": "Launching a new EC2 instance.  Status Reason: " + message,
                "Cause": f"At {now:%Y-%m-%dT%H:%M:%SZ} a user request explicitly set group desired capacity",
                "StartTime": now, "EndTime": now, "StatusCode": status, "StatusMessage": message,
                "Progress": 100,
                "Details": '{"Subnet ID":"subnet-1","Availability Zone":"us-east-1a"}',
            } | more,
        )  # fmt: skip

    def leave(self, name: str) -> None:
        """No test looks at the group any more."""
        with self.lock:
            del self.rules[name]

    def close(self) -> None:
        self._over.set()
        self._thread.join(5)
        self._server.stop()
        self._patch.undo()

    # ── the group's own work ─────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        while not self._over.wait(0.015):
            with self.lock:
                for name, group in list(self.backend.autoscaling_groups.items()):
                    if name in self.rules:
                        self._tick(name, group)

    def _tick(self, name: str, group: Any) -> None:
        rules = self.rules[name]
        for state in list(group.instance_states):
            self._move(name, group, rules, state)
        active = [
            one for one in group.instance_states if one.lifecycle_state.startswith(("Pending", "InService"))
        ]
        self._prepare(name, group, rules)
        missing = group.desired_capacity - len(active)
        for _ in range(missing):
            stopped = next(
                (one for one in group.instance_states if one.lifecycle_state == "Warmed:Stopped"), None
            )
            if rules.refuse:
                if not any(one["StatusMessage"] == rules.refuse for one in rules.activities):
                    self.activity(name, "Failed", rules.refuse)
                break
            if stopped is not None:
                stopped.lifecycle_state = "Pending"
                stopped.protected_from_scale_in = True
                self.ec2.start_instances([stopped.instance.id])
                state = stopped
            else:
                state = self._launch(group)
            if name in self.boot:
                self.boot[name](state)
        for state in [one for one in active if one.lifecycle_state == "InService"]:
            if state.health_status == "Unhealthy":
                self.terminate(state)
        surplus = len(active) - group.desired_capacity
        bare = [
            one for one in active if one.lifecycle_state == "InService" and not one.protected_from_scale_in
        ]
        for state in bare[: max(0, surplus)]:
            self.terminate(state)

    def _prepare(self, name: str, group: Any, rules: Rules) -> None:
        """What AWS keeps of a warm pool by itself: who is unhealthy goes, and others are prepared."""
        warm = [one for one in group.instance_states if one.lifecycle_state.startswith("Warmed")]
        for state in warm:
            if state.health_status == "Unhealthy" and state.lifecycle_state == "Warmed:Stopped":
                state.lifecycle_state = "Warmed:Terminating"
        missing = rules.prepared - group.desired_capacity - len(warm)
        if missing <= 0:
            rules.thinks_at = time.monotonic() + 0.5
        if time.monotonic() < rules.thinks_at:
            return
        for _ in range(missing):
            state = self._launch(group)
            state.lifecycle_state = "Warmed:Pending"
            if name in self.boot:
                self.boot[name](state)

    def _move(self, name: str, group: Any, rules: Rules, state: Any) -> None:
        instance, lifecycle = state.instance.id, state.lifecycle_state
        onward = {
            "Pending": "Pending:Wait" if rules.hook else "InService",
            "Warmed:Pending": "Warmed:Pending:Wait",
            "Warmed:Terminating": "Warmed:Terminating:Wait",
            "Terminating": "Terminating:Wait" if rules.farewell else "Terminating:Proceed",
        }
        # What waits for the completion of a hook, and what it is then.
        hooks = {
            "Pending:Wait": ("ready", "InService"),
            "Warmed:Pending:Wait": ("ready", "Warmed:Stopped"),
            "Warmed:Terminating:Wait": ("drained", "gone"),
            "Terminating:Wait": ("drained", "Terminating:Proceed"),
        }
        hook, then = hooks.get(lifecycle, ("", ""))
        if lifecycle in onward:
            state.lifecycle_state = onward[lifecycle]
        elif (hook, instance) in rules.completed:
            rules.completed.remove((hook, instance))
            self._rest(group, state, then)
        elif lifecycle == "Terminating:Proceed":
            if name in self.halt:
                self.halt[name](instance)
            self._rest(group, state, "Warmed:Stopped" if rules.reuse else "gone")

    def _rest(self, group: Any, state: Any, then: str) -> None:
        """Be in this state; stopped or terminated where it says so."""
        if then == "Warmed:Stopped":
            self.ec2.stop_instances([state.instance.id])
        if then == "gone":
            self.ec2.terminate_instances([state.instance.id])
            group.instance_states = [one for one in group.instance_states if one is not state]
        else:
            state.lifecycle_state = then

    def _launch(self, group: Any) -> Any:
        known = set(map(id, group.instance_states))
        group.replace_autoscaling_group_instances(1, group.get_propagated_tags())
        state = next(one for one in group.instance_states if id(one) not in known)
        state.lifecycle_state = "Pending"
        return state

    def terminate(self, state: Any) -> None:
        if not state.lifecycle_state.startswith("Terminating"):
            state.lifecycle_state = "Terminating"


def wait(true: Callable[[], Any], seconds: float = 20.0, what: str = "") -> Any:
    """Waits until `true()` is; its value."""
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or true}"
        time.sleep(0.02)
    return value
