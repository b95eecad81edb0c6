"""How many replicas an endpoint has: KEDA asks the gateway, and Kubernetes' own autoscaler follows."""

from infra.namespace.gateway import INNER, INNER_SERVICE
from infra.namespace.manifest import STUDIO, Manifest, labels, manifest, studio_of
from infra.namespace.target import Target
from infra.spec import EndpointSpec

POLLING = 2
"""Seconds between two questions: what a request waits at most before its replica is asked for."""
LULL = 60
"""Seconds that fewer are wanted before one goes, as on instances."""
FAILURES = 3
"""Questions without an answer before KEDA holds on to what is there."""


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
            # A gateway that does not answer takes no replica away. KEDA passes over the number here, but at
            # 0 it would take the fallback for none and scale to zero at the first error (2.21, executor).
            "fallback": {"failureThreshold": FAILURES, "replicas": 1, "behavior": "currentReplicas"},
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
