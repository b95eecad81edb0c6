"""How many replicas an endpoint has: KEDA asks the gateway, and Kubernetes' own autoscaler follows."""

from infra.namespace.gateway import INNER, INNER_SERVICE
from infra.namespace.manifest import STUDIO, Manifest, labels, manifest, studio_of
from infra.namespace.target import Target
from infra.spec import EndpointSpec

POLLING = 2
"""Seconds between two questions: what a request waits at most before its replica is asked for."""
LULL = 60
"""Seconds that fewer are wanted before one goes, as on instances."""


def scaled_object(name: str, endpoint: EndpointSpec, target: Target) -> Manifest:
    """The ScaledObject of an endpoint. Asleep by hand is an annotation that the gateway sets."""
    least, most = endpoint.replicas.min, endpoint.replicas.max
    return manifest(
        "keda.sh/v1alpha1",
        "ScaledObject",
        studio_of(name),
        target.namespace,
        labels(STUDIO, name),
        spec={
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": studio_of(name)},
            "minReplicaCount": least,
            "maxReplicaCount": most,
            "pollingInterval": POLLING,
            "cooldownPeriod": endpoint.idle,
            # No fallback: a gateway that does not answer takes no replica away, and starts none. With one,
            # whichever, KEDA takes the trigger for active, and wakes what sleeps (2.21, scale_handler).
            # Nothing here may be at its default: KEDA drops that when it writes, and each `up` would differ.
            "advanced": {
                "horizontalPodAutoscalerConfig": {
                    "behavior": {"scaleDown": {"stabilizationWindowSeconds": LULL}}
                },
            },
            "triggers": [
                {
                    "type": "metrics-api",
                    "metricType": "AverageValue",
                    "metadata": {
                        "url": f"http://{INNER_SERVICE}.{target.namespace}.svc:{INNER}/scale/{name}",
                        "valueLocation": "value",
                        "targetValue": str(endpoint.concurrency),
                        "activationTargetValue": "0",
                    },
                }
            ],
        },
    )
