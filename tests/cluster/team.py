"""One endpoint's objects, as plain as they can be: what a backend needs to find."""

from __future__ import annotations

from tests.cluster.api import Object
from tests.cluster.objects import deployment, scaled_object

STUDIO = {
    "app.kubernetes.io/part-of": "easel",
    "app.kubernetes.io/component": "studio",
    "app.kubernetes.io/instance": "studio",
}
NAME = "studio-studio"


def studio(namespace: str) -> Object:
    """The endpoint's Deployment."""
    found = deployment(namespace, terminationMessagePolicy="FallbackToLogsOnError")
    found["metadata"] |= {"name": NAME, "labels": STUDIO}
    found["spec"]["selector"] = {"matchLabels": STUDIO}
    found["spec"]["template"]["metadata"] = {"labels": STUDIO}
    return found


def scaled_studio(namespace: str) -> Object:
    """The endpoint's ScaledObject, by the gateway's signal."""
    found = scaled_object(namespace, f"http://gateway-inner.{namespace}.svc:7861/scale/studio")
    found["metadata"] |= {"name": NAME, "labels": STUDIO}
    found["spec"]["scaleTargetRef"] = {"name": NAME}
    # Longer than a kubelet takes to see that a pod is ready: one that is not goes before one that is marked.
    behaviour = found["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    behaviour["scaleDown"]["stabilizationWindowSeconds"] = 3
    return found
