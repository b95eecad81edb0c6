"""Events as Kubernetes' own components write them."""

from __future__ import annotations

import datetime
import uuid

from tests.cluster.api import Api, ApiRefusalError, Object


def reference(item: Object, kind: str, version: str = "v1", field: str = "") -> Object:
    """What an event is about."""
    meta = item["metadata"]
    found = {"apiVersion": version, "kind": kind, "name": meta["name"], "uid": meta["uid"]}
    if namespace := meta.get("namespace"):
        found["namespace"] = namespace
    return found | ({"fieldPath": field} if field else {})


def tell(api: Api, about: Object, kind: str, reason: str, message: str, source: str, host: str = "") -> None:
    """Write an event; `kind` is `Normal` or `Warning`, `source` the component that says so."""
    namespace = about.get("namespace", "default")
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{about['name']}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
        "involvedObject": about,
        "type": kind,
        "reason": reason,
        # What is longer the API refuses.
        "message": message[:1024],
        "source": {"component": source, **({"host": host} if host else {})},
        "reportingComponent": source,
        "reportingInstance": host,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    try:
        api.create(event)
    except ApiRefusalError as refusal:
        # A namespace that is ending takes no events.
        if refusal.code not in (403, 404):
            raise
