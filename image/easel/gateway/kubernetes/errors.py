"""What an API server's refusal means, in a word that a program can match and a sentence for people."""

from __future__ import annotations

import json
from typing import Literal

from easel.gateway.errors import GatewayError, ProviderError
from easel.remark import Remark, remark

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


def _words(kind: Refused, what: str, said: str) -> Remark:
    match kind:
        case "denied":
            words = (
                "Kubernetes denies {what} ({said}): the gateway's Role must allow it; `pulumi up` writes it"
            )
            return remark("kubernetes_denied", words, what=what, said=said)
        case "credentials":
            words = (
                "Kubernetes does not take the gateway's service account ({said}): is its token mounted, and "
                "the cluster the one that made it?"
            )
            return remark("kubernetes_credentials", words, said=said)
        case "missing":
            words = "Kubernetes does not know it ({what}: {said}): `pulumi up` makes it"
            return remark("kubernetes_missing", words, what=what, said=said)
        case "conflict":
            words = "somebody else wrote meanwhile ({what}: {said})"
            return remark("kubernetes_conflict", words, what=what, said=said)
        case "expired":
            words = "too old for the API server ({what}: {said})"
            return remark("kubernetes_expired", words, what=what, said=said)
        case "busy":
            words = "the API server asks us to go slower ({what}: {said})"
            return remark("kubernetes_busy", words, what=what, said=said)
        case "unreachable":
            words = "the API server does not answer ({what}: {said})"
            return remark("kubernetes_unreachable", words, what=what, said=said)
        case "refused":
            words = "Kubernetes refuses {what} ({said})"
            return remark("kubernetes_refused", words, what=what, said=said)
