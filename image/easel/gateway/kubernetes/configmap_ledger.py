"""Texts in a ConfigMap that several gateways write: what is no secret, by conditional writes."""

from __future__ import annotations

from dataclasses import dataclass

from easel.gateway.errors import GatewayError
from easel.gateway.kubernetes.api import KubernetesApi, Object
from easel.gateway.kubernetes.errors import KubernetesError


@dataclass(frozen=True)
class Text:
    """One entry, and the resourceVersion of the ConfigMap that it was read from."""

    content: bytes
    etag: str


class ConfigMapLedger:
    """The entries of the ConfigMap `name`, which the program makes empty: a gateway may change it and make no
    other. Keys are paths elsewhere; here their last part counts.

    ledger.put("run/spent/2026-11.json", b"{}", None)    # the entry 2026-11.json
    """

    def __init__(self, api: KubernetesApi, name: str) -> None:
        self._api = api
        self._name = name
        self._path = api.path("configmaps", name)

    def place(self, key: str) -> str:
        """Where a person finds it."""
        return f"ConfigMap {self._api.namespace}/{self._name}, {_entry(key)}"

    def get(self, key: str) -> Text | None:
        """The entry, or None if there is none. Blocks. Raises KubernetesError."""
        found = self._read()
        text = (found.get("data") or {}).get(_entry(key))
        return None if text is None else Text(text.encode(), _version(found))

    def put(self, key: str, content: bytes, etag: str | None) -> str | None:
        """Write over the entry of `etag`, or a new one if None; its new etag, or None if the ConfigMap is
        another by now. Blocks. Raises KubernetesError."""
        found = self._read()
        entries = found.get("data") or {}
        if etag != (_version(found) if _entry(key) in entries else None):
            return None
        found["data"] = entries | {_entry(key): content.decode()}
        found["metadata"].pop("managedFields", None)
        try:
            return _version(self._done("PUT", found))
        except KubernetesError as error:
            if error.kind == "conflict":
                return None
            raise

    def _read(self) -> Object:
        return self._done("GET")

    def _done(self, verb: str, content: Object | None = None) -> Object:
        asked = self._api.get(self._path) if content is None else self._api.put(self._path, content)
        try:
            return self._api.wait_for(asked)
        except KubernetesError:
            raise
        except (TimeoutError, GatewayError) as error:
            raise KubernetesError(f"{verb} {self._path}", 0, str(error) or "no answer in time") from None


def _entry(key: str) -> str:
    return key.rpartition("/")[2]


def _version(one: Object) -> str:
    return str(one["metadata"]["resourceVersion"])
