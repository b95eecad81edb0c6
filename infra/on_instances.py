"""`runs_on: instances`: what a team on EC2 instances is made of, in order."""

from infra.boundary import bound_roles
from infra.buckets import Buckets
from infra.budget import Alarm
from infra.domain import Domain
from infra.filesystem import Filesystem
from infra.image import Image
from infra.instances.gateway import GatewayHost, GatewayHostArgs
from infra.instances.outputs import export
from infra.instances.replicas import ReplicaHosts, ReplicaHostsArgs
from infra.link import AccessLink
from infra.network import InstanceNetwork
from infra.offers import offers_for
from infra.preview import show_costs
from infra.readiness import show_readiness
from infra.spec import Spec
from infra.tags import Tags


def provision(spec: Spec) -> None:
    """Register everything, and export where to go, what it costs and what to do next."""
    bound_roles(spec)
    tags = Tags.of_stack(spec.name)
    team = spec.name
    show_costs(spec)
    show_readiness(spec)
    offers = offers_for(spec)

    # What the team shares.
    network = InstanceNetwork(f"{team}-network", spec, tags, offers)
    filesystem = Filesystem(f"{team}-filesystem", spec, tags, network)
    buckets = Buckets(f"{team}-buckets", tags)
    domain = Domain(f"{team}-domain", spec, tags)
    image = Image(f"{team}-image", spec, tags)
    if spec.team.budget:
        Alarm(f"{team}-alarm", spec.team.budget, tags)

    # The one machine that stands all the time: the door, the console, and who wakes the others.
    console = AccessLink(f"{team}-console", f"https://{domain.host('console')}")
    gateway = GatewayHost(
        f"{team}-gateway", GatewayHostArgs(spec, tags, network, filesystem, buckets, domain, image, console)
    )

    # An endpoint each: its group of instances, its folder, its address, its first token.
    endpoints = {
        name: ReplicaHosts(
            f"{team}-{name}",
            ReplicaHostsArgs(
                spec, name, endpoint, tags, network, filesystem, buckets, domain, image, gateway
            ),
        )
        for name, endpoint in spec.endpoints.items()
    }

    export(spec, endpoints, console, domain, filesystem, buckets, image, gateway)
