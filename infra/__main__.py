"""The Pulumi program of a team's stack: what `pulumi up` provisions, in order.

Pulumi starts it inside this folder, so the repository's root goes on the path first.
"""

import gc
import sys
from pathlib import Path

# The program lives for seconds and what it makes is needed to the end: looking for garbage among the modules
# of pulumi-aws took half the time of a hundred endpoints.
gc.disable()

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from infra.buckets import Buckets
from infra.budget import Alarm
from infra.domain import Domain
from infra.filesystem import Filesystem
from infra.image import Image
from infra.instances.gateway import GatewayHost, GatewayHostArgs
from infra.instances.replicas import ReplicaHosts, ReplicaHostsArgs
from infra.link import AccessLink
from infra.network import InstanceNetwork
from infra.offers import offers_for
from infra.outputs import export
from infra.preview import show_costs
from infra.program import end_quietly_when_stopped, leave_out_debug_lines, spec_of_stack
from infra.tags import Tags

end_quietly_when_stopped()
leave_out_debug_lines()

# The team's file, with every fault told before anything is registered; what it costs, and where it is sold.
spec = spec_of_stack()
tags = Tags.of_stack(spec.name)
team = spec.name
show_costs(spec)
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
        ReplicaHostsArgs(spec, name, endpoint, tags, network, filesystem, buckets, domain, image, gateway),
    )
    for name, endpoint in spec.endpoints.items()
}

export(spec, endpoints, console, domain, filesystem, buckets, image, gateway)
