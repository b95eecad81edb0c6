"""The gateway: two pods that share nothing but the API, and each the whole door."""

from typing import Any

from infra.namespace.configuration import HTTP
from infra.namespace.manifest import (
    GATEWAY,
    Manifest,
    container_security,
    labels,
    manifest,
    pod_security,
    pulled_by,
)
from infra.namespace.secrets import GATEWAYS, environment, gateway_variables
from infra.namespace.storage import claim_mounted, models_claim
from infra.namespace.target import Target
from infra.spec import Spec

INNER = 7861
"""Where KEDA, other gateways and the kubelet ask; never what people come to."""
INNER_SERVICE = "gateway-inner"

HOME = "/data/easel"
STAYS = "EASEL_LEAVES_WITHIN"
REPLICAS = 2
LEAVING = 15
"""Seconds between a pod's end being decided and SIGTERM: balancers hear of it and send nobody there."""
LEAST_STAY, DRAWS, LONGEST_STAY = 85, 60, 3500
"""Seconds that a gateway which was told to end goes on for who is at its door, sooner where nobody is: as
long as a request is held, and then a picture. An Application Load Balancer allows an hour."""
AFTER = 20
"""Seconds that its Caddy and everything else take to end after that."""


def stays(spec: Spec) -> int:
    """For how many seconds after SIGTERM a gateway answers whom it holds, at most."""
    longest = max((endpoint.timeouts.wake for endpoint in spec.endpoints.values()), default=0)
    return min(max(LEAST_STAY, longest + DRAWS), LONGEST_STAY)


def gateway(spec: Spec, target: Target) -> list[Manifest]:
    """Deployment, disruption budget, and the Service that is asked from inside."""
    found = labels(GATEWAY)
    return [
        manifest(
            "v1", "Service", INNER_SERVICE, target.namespace, found,
            spec={
                "selector": found,
                "ports": [{"name": "inner", "port": INNER, "targetPort": "inner", "protocol": "TCP"}],
            },
        ),
        manifest(
            "policy/v1", "PodDisruptionBudget", GATEWAY, target.namespace, found,
            spec={"minAvailable": 1, "selector": {"matchLabels": found}},
        ),
        manifest(
            "apps/v1", "Deployment", GATEWAY, target.namespace, found,
            spec={
                "replicas": REPLICAS,
                "revisionHistoryLimit": 2,
                "selector": {"matchLabels": found},
                # Never fewer than two while another version comes.
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "template": {"metadata": {"labels": found}, "spec": _pod(spec, target, found)},
            },
        ),
    ]  # fmt: skip


def _pod(spec: Spec, target: Target, found: dict[str, str]) -> dict[str, Any]:
    return {
        "serviceAccountName": GATEWAY,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "terminationGracePeriodSeconds": LEAVING + stays(spec) + AFTER,
        "topologySpreadConstraints": _spread(target, found),
        **pulled_by(target.pull_secrets),
        "containers": [_container(spec, target)],
        "volumes": [
            # Configuration, counts, Caddy's files: had again from the API after a restart.
            {"name": "home", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
            claim_mounted("models", models_claim(target)),
        ],
    }  # fmt: skip


def _spread(target: Target, found: dict[str, str]) -> list[dict[str, Any]]:
    """As far apart as the cluster lets them: on one node both are better than one.

    Where nodes can be had it is no wish. The scheduler knows the zones of nodes that are there: with KEDA's
    node alone, both would be on that, and a node of another zone never be asked for.
    """
    # Of a version each by itself: else what is left of two when the old ones go may be neighbours.
    alike = {"maxSkew": 1, "labelSelector": {"matchLabels": found}, "matchLabelKeys": ["pod-template-hash"]}
    wish = {**alike, "whenUnsatisfiable": "ScheduleAnyway"}
    zones = {**alike, "whenUnsatisfiable": "DoNotSchedule", "minDomains": REPLICAS} if target.apart else wish
    return [
        {**zones, "topologyKey": "topology.kubernetes.io/zone"},
        {**wish, "topologyKey": "kubernetes.io/hostname"},
    ]


def _of_the_pod() -> list[dict[str, Any]]:
    """What it knows itself by among its peers."""
    fields = {"POD_NAME": "metadata.name", "POD_IP": "status.podIP"}
    return [
        {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
        for name, path in fields.items()
    ]


def _container(spec: Spec, target: Target) -> dict[str, Any]:
    health = {"httpGet": {"path": "/healthz", "port": "inner"}, "timeoutSeconds": 5}
    return {
        "name": GATEWAY,
        "image": target.gateway_image,
        "command": ["python", "-m", "easel.gateway", "--home", HOME, "--namespace", target.namespace],
        "env": [
            {"name": "HOME", "value": "/tmp"},  # noqa: S108
            {"name": "EASEL_HOME", "value": HOME},
            {"name": STAYS, "value": str(stays(spec))},
            *_of_the_pod(),
            *environment(GATEWAYS, gateway_variables(target)),
        ],
        "ports": [
            {"name": "http", "containerPort": HTTP, "protocol": "TCP"},
            {"name": "inner", "containerPort": INNER, "protocol": "TCP"},
        ],
        # Bytes that pass, and one watch a kind: a whole processor helps only while models are checked.
        "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}},
        "securityContext": container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "startupProbe": {**health, "periodSeconds": 2, "failureThreshold": 90},
        "readinessProbe": {**health, "periodSeconds": 5, "failureThreshold": 2},
        # Slow: while the API does not answer, a restart would help nobody.
        "livenessProbe": {**health, "periodSeconds": 20, "failureThreshold": 6},
        "lifecycle": {"preStop": {"sleep": {"seconds": LEAVING}}},
        "volumeMounts": [
            {"name": "home", "mountPath": HOME},
            {"name": "models", "mountPath": f"{HOME}/models"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
    }
