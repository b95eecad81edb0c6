"""Objects that tests of a cluster apply, as plain as they can be."""

from __future__ import annotations

from typing import Any

from tests.cluster.api import Object
from tests.cluster.nodes import NodePool

GPU = NodePool(
    "gpu",
    labels={"easel.test/shape": "gpu"},
    taints=[{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}],
    allocatable={"cpu": "3500m", "memory": "14Gi", "nvidia.com/gpu": "1"},
)


def deployment(namespace: str, **container: Any) -> Object:
    labels = {"app.kubernetes.io/component": "studio", "app.kubernetes.io/instance": "studio"}
    probe = {"httpGet": {"path": "/internal/ping", "port": 7860}, "periodSeconds": 1}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "studio", "namespace": namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "nodeSelector": {"easel.test/shape": "gpu"},
                    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
                    "terminationGracePeriodSeconds": 5,
                    "containers": [
                        {
                            "name": "studio",
                            "image": "example.com/studio:1",
                            "ports": [{"containerPort": 7860}],
                            "readinessProbe": probe,
                            "resources": {"limits": {"nvidia.com/gpu": "1"}},
                            **container,
                        }
                    ],
                },
            },
        },
    }


def scaled_object(namespace: str, url: str) -> Object:
    trigger = {
        "type": "metrics-api",
        "metricType": "AverageValue",
        "metadata": {"url": url, "valueLocation": "value", "targetValue": "1", "activationTargetValue": "0"},
    }
    behaviour = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "studio", "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"name": "studio"},
            "minReplicaCount": 0,
            "maxReplicaCount": 3,
            "pollingInterval": 1,
            "cooldownPeriod": 3,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behaviour}},
            "triggers": [trigger],
        },
    }
