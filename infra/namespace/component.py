"""A team's objects, applied by Pulumi."""

import pulumi

from infra.link import AccessLink
from infra.namespace.target import Target
from infra.spec import Spec


class TeamNamespace(pulumi.ComponentResource):
    """The namespace of a team with all that is in it, and the first links to its endpoints."""

    console: AccessLink
    endpoints: dict[str, AccessLink]
    """By the endpoint's name."""
    edge_address: pulumi.Output[str]
    """Where the load balancer of the edge answers: a host name or an address; empty where none is given."""

    def __init__(
        self, name: str, spec: Spec, target: Target, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("easel:namespace:Team", name, None, opts)
        raise NotImplementedError
