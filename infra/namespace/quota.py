"""What the namespace may take of the cluster at most."""

from infra.namespace.manifest import Manifest, labels, manifest
from infra.namespace.target import Target
from infra.spec import Spec


def quota(spec: Spec, target: Target) -> Manifest:
    """GPUs: every endpoint with its most replicas, and no more whatever goes wrong."""
    most: dict[str, int] = {}
    for name, endpoint in spec.endpoints.items():
        gpu = target.placement(name).gpu
        if gpu:
            # Quotas of extended resources are on requests, which equal their limits.
            resource = f"requests.{gpu}"
            most[resource] = most.get(resource, 0) + endpoint.replicas.max + target.surge
    hard = {resource: str(count) for resource, count in most.items()}
    # The one that an address needs, and none that anybody slips in.
    hard["services.loadbalancers"] = "1" if target.edge.kind == "address" else "0"
    return manifest("v1", "ResourceQuota", "team", target.namespace, labels(), spec={"hard": hard})
