"""A text in a Secret that several gateways write: by conditional writes, none over another's."""

from __future__ import annotations

import base64

from easel.gateway.errors import NO_ANSWER_IN_TIME, unreadable, unwritable
from easel.gateway.kubernetes.api import KubernetesApi, Object
from easel.gateway.kubernetes.errors import KubernetesError


class SecretObject:
    """A `Document` as the value `key` of the Secret `name`, which the program makes empty. A gateway may
    change it and make no other."""

    def __init__(self, api: KubernetesApi, name: str, key: str) -> None:
        self.name = f"Secret {api.namespace}/{name}"
        self._api = api
        self._path = api.path("secrets", name)
        self._key = key

    def read(self) -> tuple[bytes, str]:
        """The text and the resourceVersion; both empty while nothing was written. Raises GatewayError."""
        found = self._get()
        text = (found.get("data") or {}).get(self._key)
        if not text:
            return b"", ""
        return base64.b64decode(text), str(found["metadata"]["resourceVersion"])

    def swap(self, text: str, revision: str, *, must: bool = False) -> str:
        """Write it if the Secret is still at `revision`. Raises GatewayError."""
        found = self._get()
        empty = not (found.get("data") or {}).get(self._key)
        if revision != ("" if empty else str(found["metadata"]["resourceVersion"])):
            return ""
        content = base64.b64encode(text.encode()).decode()
        found["data"] = (found.get("data") or {}) | {self._key: content}
        found["metadata"].pop("managedFields", None)
        try:
            written = self._api.wait_for(self._api.put(self._path, found))
        except KubernetesError as error:
            if error.kind == "conflict":
                return ""
            raise unwritable(self.name, error) from None
        except TimeoutError:
            raise unwritable(self.name, NO_ANSWER_IN_TIME) from None
        return str(written["metadata"]["resourceVersion"])

    def _get(self) -> Object:
        try:
            return self._api.wait_for(self._api.get(self._path))
        except KubernetesError as error:
            raise unreadable(self.name, error) from None
        except TimeoutError:
            raise unreadable(self.name, NO_ANSWER_IN_TIME) from None
