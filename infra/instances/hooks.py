"""The lifecycle hooks of an endpoint's group: a host says when it is ready, the gateway when drained."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.render import DRAINED, READY

TIME_TO_START = 1200
"""Seconds without a sign of life before a new host is given up. It gives one every four minutes while it gets
image and models."""

TIME_TO_DRAIN = 900
"""Seconds for a replica that AWS takes away; one that the gateway takes away is drained before."""


@dataclass(frozen=True)
class Hook:
    """One hook, as the group's own input and the resource both spell it."""

    name: str
    lifecycle_transition: str
    heartbeat_timeout: int
    """Seconds."""
    default_result: str


HOOKS = (
    # One that never says it is ready is not paid for any longer.
    Hook(READY, "autoscaling:EC2_INSTANCE_LAUNCHING", TIME_TO_START, "ABANDON"),
    Hook(DRAINED, "autoscaling:EC2_INSTANCE_TERMINATING", TIME_TO_DRAIN, "CONTINUE"),
)


def initial_hooks() -> list[aws.autoscaling.GroupInitialLifecycleHookArgs]:
    """The hooks that a new group has before its first instance: its warm pool launches at once.

    For pulumi-aws another value here is another group (`ForceNew`), so the group ignores changes of them, and
    `lifecycle_hooks` keeps them as they should be.
    """
    return [aws.autoscaling.GroupInitialLifecycleHookArgs(**vars(hook)) for hook in HOOKS]


def lifecycle_hooks(name: str, group: aws.autoscaling.Group, opts: pulumi.ResourceOptions) -> None:
    """The same hooks as resources, so that a changed one reaches groups that exist.

    To AWS it is one call for both, PutLifecycleHook, which makes or changes the hook of that name.
    """
    for hook in HOOKS:
        aws.autoscaling.LifecycleHook(
            f"{name}-{hook.name}", autoscaling_group_name=group.name, opts=opts, **vars(hook)
        )
