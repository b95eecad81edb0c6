"""Volumes: the team's models, and each endpoint's pictures."""

from typing import Any

from infra.namespace.manifest import STUDIO, Manifest, labels, manifest
from infra.namespace.target import Target, Volume
from infra.spec import EndpointSpec, Spec

MODELS = "models"
CLAIM = "PersistentVolumeClaim"


def storage(spec: Spec, target: Target) -> list[Manifest]:
    """The claims, and the volumes of those that are bound to files that are there already."""
    wanted = {MODELS: (target.models, labels())}
    for name, endpoint in spec.endpoints.items():
        if keeps_outputs(endpoint):
            wanted[f"outputs-{name}"] = (target.outputs(name), labels(STUDIO, name))
    return [
        made
        for name, (volume, labelled) in wanted.items()
        if volume.claim is None
        for made in _claimed(spec, target, name, volume, labelled)
    ]


def keeps_outputs(endpoint: EndpointSpec) -> bool:
    """Whether an endpoint has a folder of pictures that outlives its replicas."""
    own = endpoint.image
    return endpoint.storage.outputs or (
        own is not None and any(mount.source == "outputs" for mount in own.mounts)
    )


def models_claim(target: Target) -> str:
    """The claim of the team's models."""
    return target.models.claim or MODELS


def outputs_claim(target: Target, endpoint: str) -> str:
    """The claim of an endpoint's pictures."""
    return target.outputs(endpoint).claim or f"outputs-{endpoint}"


def claim_mounted(volume: str, claim: str) -> dict[str, Any]:
    """A claim as a pod's volume."""
    return {"name": volume, "persistentVolumeClaim": {"claimName": claim}}


def _claimed(
    spec: Spec, target: Target, name: str, volume: Volume, labelled: dict[str, str]
) -> list[Manifest]:
    size = {"requests": {"storage": volume.size}}
    claim: dict[str, Any] = {"accessModes": [volume.access], "resources": size}
    if not volume.static:
        if volume.storage_class is not None:
            claim["storageClassName"] = volume.storage_class
        return [manifest("v1", CLAIM, name, target.namespace, labelled, spec=claim)]
    bound = f"easel-{spec.name}-{name}"
    there = manifest(
        "v1",
        "PersistentVolume",
        bound,
        None,
        labelled,
        spec={
            "accessModes": [volume.access],
            "capacity": {"storage": volume.size},
            "csi": {"driver": volume.csi_driver, "volumeHandle": volume.handle},
            # Nobody else's claim is bound to it, however it asks.
            "claimRef": {"apiVersion": "v1", "kind": CLAIM, "name": name, "namespace": target.namespace},
            "persistentVolumeReclaimPolicy": "Retain",
            # The empty class: neither is provisioned by the cluster's default one.
            "storageClassName": "",
            **({"mountOptions": list(volume.mount_options)} if volume.mount_options else {}),
        },
    )
    claim |= {"storageClassName": "", "volumeName": bound}
    return [there, manifest("v1", CLAIM, name, target.namespace, labelled, spec=claim)]
