"""An endpoint's replicas: a Deployment whose pods have one GPU each, as containers are on instances."""

import math
from typing import Any

from infra import render
from infra.namespace.manifest import (
    STUDIO,
    USER,
    Manifest,
    container_security,
    labels,
    manifest,
    pod_security,
    pulled_by,
    studio_of,
)
from infra.namespace.secrets import KEYS, environment, environment_of
from infra.namespace.storage import claim_mounted, keeps_outputs, models_claim, outputs_claim
from infra.namespace.target import Placement, Target
from infra.spec import EndpointSpec, Spec

DAY = 24 * 3600
LEAST_WAKE = 15 * 60
"""Seconds that a container has to answer at least, as on instances: a checkpoint may come slowly."""
LONGEST_DRAIN = 3600
"""Seconds that a replica may take to end its work, whatever one request may last."""
SIGTERM = 15
"""Seconds that a container has after it: the studio ends within ten."""
CACHED = 0.9
"""The share of `storage.disk` that the cache may fill: a volume over its limit takes the pod with it."""
STARTER = """cd /easel/models && [ -z "$(find /models -name '*.safetensors' -print -quit)" ] || exit 0
find . -name '*.safetensors' | while read -r file; do
    mkdir -p "/models/${file%/*}" && cp "$file" "/models/$file.$HOSTNAME.part" \\
        && mv "/models/$file.$HOSTNAME.part" "/models/$file" || exit
done"""
"""Places the image's starter in an empty store, so that the first picture needs no download."""


def deployment(spec: Spec, name: str, endpoint: EndpointSpec, target: Target) -> Manifest:
    """The Deployment of an endpoint, without how many: that is the autoscaler's."""
    found = labels(STUDIO, name)
    placement = target.placement(name)
    starts = max(endpoint.timeouts.wake, LEAST_WAKE)
    return manifest(
        "apps/v1",
        "Deployment",
        studio_of(name),
        target.namespace,
        found,
        spec={
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": found},
            "strategy": {
                "type": "RollingUpdate",
                # Without a spare GPU the old one goes first, and the door holds requests meanwhile.
                "rollingUpdate": {"maxSurge": target.surge, "maxUnavailable": 0 if target.surge else 1},
            },
            # The image, gigabytes, comes before the container starts.
            "progressDeadlineSeconds": 2 * starts,
            "template": {
                "metadata": {
                    "labels": found,
                    **({"annotations": dict(placement.annotations)} if placement.annotations else {}),
                },
                "spec": _pod(spec, name, endpoint, target, placement, starts),
            },
        },
    )


def _pod(
    spec: Spec, name: str, endpoint: EndpointSpec, target: Target, placement: Placement, starts: int
) -> dict[str, Any]:
    own = endpoint.image
    drain = min(endpoint.timeouts.request, LONGEST_DRAIN)
    what = _studio(spec, name, endpoint, target, drain) if own is None else _own(name, endpoint, target)
    what |= {
        "name": STUDIO,
        "ports": [{"name": "http", "containerPort": render.port_inside(endpoint), "protocol": "TCP"}],
        "resources": _resources(placement, None if own is None else endpoint.storage.disk),
        # A crash's last words are then in the pod's status, where the console finds them.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **_probes(endpoint, starts),
    }
    return {
        "serviceAccountName": STUDIO,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(USER if own is None or own.user is None else own.user),
        "terminationGracePeriodSeconds": drain + SIGTERM,
        **({"runtimeClassName": placement.runtime_class} if placement.runtime_class else {}),
        "nodeSelector": dict(placement.node_selector),
        "tolerations": [dict(one) for one in placement.tolerations],
        **pulled_by([*target.pull_secrets, *([own.registry] if own and own.registry else [])]),
        **({"initContainers": [_starter(target)]} if own is None else {}),
        "containers": [what],
        "volumes": _volumes(name, endpoint, target),
    }


def _studio(spec: Spec, name: str, endpoint: EndpointSpec, target: Target, drain: int) -> dict[str, Any]:
    """Easel's studio: read-only but for its folders; who asks is what the gateway vouches for."""
    port = str(render.port_inside(endpoint))
    command = ["python", "-m", "easel.studio", "--host", "0.0.0.0", "--port", port]  # noqa: S104
    command += ["--home", "/easel", "--endpoint", name]
    # Pictures that nobody keeps are on the node's disk: for a day, so that a page can show them.
    kept = endpoint.storage.retention if endpoint.storage.outputs else DAY
    command += ["--retention", str(kept)] if kept else []
    told = render.endpoint_config(name, endpoint, 0, spec.team.storage.quota)["env"]
    cache = int(endpoint.storage.disk * CACHED)
    defaults = {"HOME": "/tmp", "EASEL_CACHE": "/cache", "EASEL_CACHE_SIZE": str(cache)}  # noqa: S108
    known_by = {
        "EASEL_ASSERTION_KEYS": "/easel/keys/keys.json",
        "EASEL_ASSERTION_AUDIENCE": name,
        "EASEL_ASSERTION_OPEN": "/easel/load /internal/ping",
    }
    wait = ["python", "-m", "easel.studio.drain", "--port", port, "--at-most", str(drain)]
    return {
        "image": target.studio_image,
        "command": command,
        "env": _variables(name, {**defaults, **told}, target, known_by),
        "securityContext": container_security(),
        "lifecycle": {"preStop": {"exec": {"command": wait}}},
        "volumeMounts": [
            {"name": "models", "mountPath": "/easel/models"},
            {"name": "outputs", "mountPath": f"/easel/outputs/{name}"},
            {"name": "keys", "mountPath": "/easel/keys", "readOnly": True},
            {"name": "cache", "mountPath": "/cache"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
    }


def _own(name: str, endpoint: EndpointSpec, target: Target) -> dict[str, Any]:
    """A container of the team's own. It may write to its root: images expect it."""
    own = endpoint.image
    assert own is not None  # noqa: S101 - asked by the caller
    return {
        "image": own.ref,
        **({"command": _literal(own.command)} if own.command else {}),
        "env": _variables(name, endpoint.env, target, {}),
        "securityContext": container_security(read_only_root=False),
        # What is under way ends, if it is short: nobody can ask such a container whether it works.
        "lifecycle": {"preStop": {"sleep": {"seconds": SIGTERM}}},
        "volumeMounts": [
            {"name": mount.source, "mountPath": mount.path, **({"readOnly": True} if mount.read_only else {})}
            for mount in own.mounts
        ],
    }


def _starter(target: Target) -> dict[str, Any]:
    return {
        "name": "starter",
        "image": target.studio_image,
        "command": ["sh", "-c", *_literal([STARTER])],
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        "securityContext": container_security(),
        "volumeMounts": [{"name": "models", "mountPath": "/models"}],
    }


def _variables(
    endpoint: str, given: dict[str, str], target: Target, known_by: dict[str, str]
) -> list[dict[str, Any]]:
    """Secrets win over `env`, which wins over easel's own defaults; nothing takes the place of `known_by`."""
    secrets = {name: value for name, value in target.secrets(endpoint).items() if name not in known_by}
    plain = {name: value for name, value in given.items() if name not in secrets} | known_by
    told = [
        {"name": name, "value": value}
        for name, value in zip(plain, _literal(list(plain.values())), strict=True)
    ]
    return told + environment(environment_of(endpoint), secrets)


def _literal(words: list[str]) -> list[str]:
    """As they are: Kubernetes would put variables in the place of `$(NAME)`, and one `$` for two."""
    return [word.replace("$", "$$") for word in words]


def _resources(placement: Placement, root: int | None) -> dict[str, Any]:
    """One GPU, or none; `root` is the limit of what a container writes beside its volumes, in bytes."""
    requests = {"cpu": placement.cpu, "memory": placement.memory}
    limits = {placement.gpu: "1"} if placement.gpu else {}
    requests |= limits
    if root is not None:
        # Without a request the limit would be one, and a node with half a disk none to run on.
        requests["ephemeral-storage"] = "1Gi"
        limits["ephemeral-storage"] = str(root)
    return {"requests": requests, **({"limits": limits} if limits else {})}


def _probes(endpoint: EndpointSpec, starts: int) -> dict[str, Any]:
    """Started within what a request waits; no liveness: a GPU that draws answers when it can."""
    path = "/internal/ping" if endpoint.image is None else endpoint.image.health
    asks = {"tcpSocket": {"port": "http"}} if path == "none" else {"httpGet": {"path": path, "port": "http"}}
    probe: dict[str, Any] = {**asks, "timeoutSeconds": 5}
    return {
        "startupProbe": {**probe, "periodSeconds": 2, "failureThreshold": math.ceil(starts / 2)},
        "readinessProbe": {**probe, "periodSeconds": 5, "failureThreshold": 6},
    }


def _volumes(name: str, endpoint: EndpointSpec, target: Target) -> list[dict[str, Any]]:
    outputs = claim_mounted("outputs", outputs_claim(target, name))
    if not keeps_outputs(endpoint):
        outputs = {"name": "outputs", "emptyDir": {}}
    models = claim_mounted("models", models_claim(target))
    if endpoint.image is not None:
        mounted = {mount.source for mount in endpoint.image.mounts}
        return [volume for volume in (models, outputs) if volume["name"] in mounted]
    disk = {"sizeLimit": str(endpoint.storage.disk)}
    return [
        models,
        outputs,
        {"name": "keys", "configMap": {"name": KEYS}},
        {"name": "cache", "emptyDir": disk},
        {"name": "tmp", "emptyDir": {}},
    ]
