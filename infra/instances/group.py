"""The Auto Scaling group of an endpoint. The gateway sets how many run; the group starts and watches them."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.instances.hooks import initial_hooks, lifecycle_hooks
from infra.shapes import InstanceType
from infra.spec import EndpointSpec

CAPACITY = "easel:capacity"
"""Tag of a group: on-demand, spot or spot-first. The gateway may change the mix only of a spot-first one."""


@dataclass(frozen=True)
class GroupArgs:
    """What a group is made from."""

    endpoint: EndpointSpec
    template: aws.ec2.LaunchTemplate
    subnet_ids: list[pulumi.Output[str]]
    """In zones that sell at least one of `types`."""
    types: Sequence[InstanceType]
    """The preferred one first, of those that are sold."""
    tags: dict[str, str]


def endpoint_group(name: str, args: GroupArgs, opts: pulumi.ResourceOptions) -> aws.autoscaling.Group:
    """A group that runs nothing until the gateway asks for it."""
    endpoint = args.endpoint
    group = aws.autoscaling.Group(
        name,
        min_size=0,
        max_size=endpoint.replicas.max,
        vpc_zone_identifiers=args.subnet_ids,
        mixed_instances_policy=_mixed(args),
        initial_lifecycle_hooks=initial_hooks(),
        warm_pool=_warm_pool(endpoint),
        # Only what the gateway has drained and unprotected may be taken.
        protect_from_scale_in=True,
        # Moving a replica to another zone would end the pictures on it.
        suspended_processes=["AZRebalance"],
        # A second GPU at each hint that spot may end is dearer than the wait for one at its end.
        capacity_rebalance=False,
        health_check_type="EC2",
        # `pulumi up` provisions; it does not wait for GPUs, of which there are none until someone draws.
        wait_for_capacity_timeout="0",
        # Protected instances would hold up a destroy for ever.
        force_delete=True,
        force_delete_warm_pool=True,
        tags=[
            aws.autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=True)
            for key, value in {**args.tags, CAPACITY: endpoint.capacity}.items()
        ],
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(ignore_changes=[*_gateways_own(endpoint), "initialLifecycleHooks"])
        ),
    )
    lifecycle_hooks(name, group, opts)
    return group


def _gateways_own(endpoint: EndpointSpec) -> list[str]:
    """What the gateway sets while the group lives, and the program must leave alone."""
    share = "mixedInstancesPolicy.instancesDistribution.onDemandPercentageAboveBaseCapacity"
    return ["desiredCapacity", *([share] if endpoint.capacity == "spot-first" else [])]


def _mixed(args: GroupArgs) -> aws.autoscaling.GroupMixedInstancesPolicyArgs:
    """The shape's types, the preferred one first, with a warm pool too: AWS allows that since November 2025
    ("Amazon EC2 Auto Scaling: warm pools for mixed instances policies", What's New).

    - on-demand: the first type that the zones have.
    - spot: of all types, those that are cheap and least likely to be taken.
    - spot-first: as spot. No group falls back by itself: where AWS refuses spot, the gateway raises the share
      of on-demand to 100 (which it may in such a group only), and lowers it once that replica is gone.
    """
    spot = args.endpoint.capacity != "on-demand"
    return aws.autoscaling.GroupMixedInstancesPolicyArgs(
        instances_distribution=aws.autoscaling.GroupMixedInstancesPolicyInstancesDistributionArgs(
            on_demand_base_capacity=0,
            on_demand_percentage_above_base_capacity=0 if spot else 100,
            on_demand_allocation_strategy="prioritized",
            spot_allocation_strategy="price-capacity-optimized",
        ),
        launch_template=aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateArgs(
            launch_template_specification=(
                aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecificationArgs(
                    launch_template_id=args.template.id, version="$Latest"
                )
            ),
            overrides=[
                aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateOverrideArgs(instance_type=kind.name)
                for kind in args.types
            ],
        ),
    )


def _warm_pool(endpoint: EndpointSpec) -> aws.autoscaling.GroupWarmPoolArgs | None:
    """So many instances are prepared, stopped or running.

    While one of two runs, one is stopped; with a `min_size` AWS would start a third to stop it, for a GPU's
    price, and with `replicas.max` running would keep two that can never be used.
    """
    if not endpoint.warm:
        return None
    return aws.autoscaling.GroupWarmPoolArgs(
        pool_state="Stopped",
        min_size=0,
        max_group_prepared_capacity=endpoint.warm,
        instance_reuse_policy=aws.autoscaling.GroupWarmPoolInstanceReusePolicyArgs(reuse_on_scale_in=True),
    )
