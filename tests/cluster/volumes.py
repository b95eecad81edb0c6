"""A stand-in for a driver of volumes: each claim is bound at once, to nothing that is ever mounted."""

from __future__ import annotations

from tests.cluster.api import Api


def bind(api: Api, namespace: str) -> bool:
    """Give every claim that waits a volume of its own; whether none waits any more."""
    claims = api.list("v1", "PersistentVolumeClaim", namespace)
    waiting = [claim for claim in claims if claim["status"].get("phase") != "Bound"]
    for claim in waiting:
        meta, spec = claim["metadata"], claim["spec"]
        reference = {"namespace": namespace, "name": meta["name"], "uid": meta["uid"]}
        api.apply(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"{namespace}-{meta['name']}"},
                "spec": {
                    "accessModes": spec["accessModes"],
                    "capacity": spec["resources"]["requests"],
                    "claimRef": reference,
                    "storageClassName": spec.get("storageClassName", ""),
                    "persistentVolumeReclaimPolicy": "Retain",
                    "nfs": {"server": "127.0.0.1", "path": "/"},
                },
            }
        )
    return not waiting
