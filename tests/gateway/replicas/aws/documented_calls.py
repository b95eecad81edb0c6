"""The calls of Auto Scaling that moto answers otherwise than its API reference says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import moto.autoscaling.models as models
import pytest
from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

if TYPE_CHECKING:
    from tests.gateway.replicas.aws.region import Region


class DocumentedCalls:
    """Answers for the groups of one region. The first argument of each is moto's own object."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._plain_warm_pool = AutoScalingResponse.describe_warm_pool

    def patch(self, patch: pytest.MonkeyPatch) -> None:
        """Have moto answer so."""
        group, backend, response = models.FakeAutoScalingGroup, models.AutoScalingBackend, AutoScalingResponse
        # Warm instances are not in the group's own list.
        serving = property(
            lambda self: [one for one in self.instance_states if not one.lifecycle_state.startswith("Warmed")]
        )
        patch.setattr(group, "instances", serving, raising=False)
        patch.setattr(backend, "notify_terminate_instances", lambda self, instances: None)
        for owner, call in (
            (group, self.set_desired_capacity),
            (backend, self.terminate_instance),
            (backend, self.set_instance_protection),
            (backend, self.set_instance_health),
            (response, self.describe_scaling_activities),
            (response, self.describe_warm_pool),
            (response, self.complete_lifecycle_action),
        ):
            patch.setattr(owner, call.__name__, _method(call), raising=False)

    def set_desired_capacity(self, group: Any, wanted: int | None) -> None:
        with self._region.lock:
            if wanted is not None and wanted > group.max_size:
                raise ValidationError(
                    f"New SetDesiredCapacity value {wanted} is above max value {group.max_size}"
                )
            group.desired_capacity = group.min_size if wanted is None else wanted

    def _of(self, backend: Any, instance: str) -> Any:
        for group in backend.autoscaling_groups.values():
            for state in group.instance_states:
                if state.instance.id == instance:
                    return state
        raise ValidationError(
            f"Instance Id not found - No managed instance found for instance ID: {instance}"
        )

    def terminate_instance(self, backend: Any, instance_id: str, should_decrement: bool) -> Any:
        with self._region.lock:
            state = self._of(backend, instance_id)
            group = state.auto_scaling_group
            before = group.desired_capacity
            if should_decrement and not state.lifecycle_state.startswith("Terminating"):
                group.desired_capacity -= 1
            self._region.terminate(state)
            return models.TerminateInstanceActivity(state.instance, before)

    def set_instance_protection(
        self, backend: Any, group: str, instances: list[str], protected: bool
    ) -> None:
        with self._region.lock:
            for name in instances:
                state = self._of(backend, name)
                if state.lifecycle_state != "InService":
                    raise ValidationError(
                        f"The instance {name} is not in InService or EnteringStandby or Standby."
                    )
                state.protected_from_scale_in = protected

    def set_instance_health(self, backend: Any, instance_id: str, health_status: str) -> None:
        with self._region.lock:
            self._of(backend, instance_id).health_status = health_status

    def describe_scaling_activities(self, response: Any) -> ActionResult:
        name = response._get_param("AutoScalingGroupName")
        return ActionResult({"Activities": list(self._region.rules[name].activities)})

    def describe_warm_pool(self, response: Any) -> ActionResult:
        name = response._get_param("AutoScalingGroupName")
        if name not in self._region.rules:  # another test's group, on a server of its own
            return self._plain_warm_pool(response)
        warm = [one for one in self._region.states(name) if one.lifecycle_state.startswith("Warmed")]
        return ActionResult({"WarmPoolConfiguration": {"PoolState": "Stopped"}, "Instances": warm})

    def complete_lifecycle_action(self, response: Any) -> EmptyResult:
        name, hook = response._get_param("AutoScalingGroupName"), response._get_param("LifecycleHookName")
        instance = response._get_param("InstanceId")
        with self._region.lock:
            state = self._of(response.autoscaling_backend, instance)
            if not state.lifecycle_state.endswith(":Wait"):
                raise ValidationError("No active Lifecycle Action found with instance ID " + instance)
            self._region.rules[name].completed.append((hook, instance))
        return EmptyResult()


def _method(call: Callable[..., Any]) -> Callable[..., Any]:
    """A function that a class makes a method of."""
    return lambda *arguments, **named: call(*arguments, **named)
