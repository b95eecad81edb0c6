"""What an API server's refusal means, in a word that a program can match and a sentence for people."""

from __future__ import annotations

import json
from typing import Literal

from easel.gateway.errors import GatewayError, ProviderError

Refused = Literal["denied", "credentials", "missing", "conflict", "expired", "busy", "unreachable", "refused"]
PASSING: frozenset[Refused] = frozenset({"busy", "unreachable", "conflict", "expired"})
_STATUSES: dict[int, Refused] = {
    401: "credentials", 403: "denied", 404: "missing", 409: "conflict", 410: "expired", 429: "busy",
    500: "unreachable", 502: "unreachable", 503: "unreachable", 504: "unreachable",
}  # fmt: skip


class KubernetesError(GatewayError, ProviderError):
    """The API server did not do it. `what` is verb and path; `status` the HTTP status, 0 without an
    answer."""

    def __init__(self, what: str, status: int, message: str) -> None:
        self.kind: Refused = _STATUSES.get(status, "refused" if status else "unreachable")
        self.status = status
        super().__init__(_words(self.kind, what, message))

    @property
    def passing(self) -> bool:
        """Whether asking again later may help without anybody's doing."""
        return self.kind in PASSING


def message_of(body: bytes) -> str:
    """The words of a `Status` object, else the body's beginning."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:300].decode("utf-8", "replace").strip()


def _words(kind: Refused, what: str, message: str) -> str:
    return {
        "denied": f"Kubernetes denies {what} ({message}): the gateway's Role must allow it; `pulumi up` "
        "writes it",
        "credentials": f"Kubernetes does not take the gateway's service account ({message}): is its token "
        "mounted, and the cluster the one that made it?",
        "missing": f"Kubernetes does not know it ({what}: {message}): `pulumi up` makes it",
        "conflict": f"somebody else wrote meanwhile ({what}: {message})",
        "expired": f"too old for the API server ({what}: {message})",
        "busy": f"the API server asks us to go slower ({what}: {message})",
        "unreachable": f"the API server does not answer ({what}: {message})",
        "refused": f"Kubernetes refuses {what} ({message})",
    }[kind]
