"""Which requests of those that pass change what others see: files and models sent, fetched, removed.

Told by method and path at the door, where the caller cannot leave anything out.
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qs

from easel.gateway.access import ForwardedRequest, normal

_UPLOADS = "/files/uploads"
_DOWNLOADS = "/studio/models/downloads"


def change(request: ForwardedRequest) -> tuple[str, str] | None:
    """What a request changes, if anything: the kind of line it is in the audit log, and of what."""
    path = normal(request.path)
    if request.method == "DELETE":
        return "deleted", _named(request) or request.path
    if request.method not in ("POST", "PUT", "PATCH"):
        return None
    if path == _UPLOADS:
        return "uploaded", _told(request.headers.get("upload-metadata", ""))
    if path.startswith(_UPLOADS + "/"):
        return None  # the next piece of an upload that was told of
    if path == _DOWNLOADS:
        return "fetched", request.path
    if request.method in ("PUT", "PATCH"):
        return "changed", request.path
    return None


def _named(request: ForwardedRequest) -> str:
    return next(iter(parse_qs(request.query).get("path", [])), "")


def _told(metadata: str) -> str:
    """Where an upload goes, from tus's `Upload-Metadata`."""
    said: dict[str, str] = {}
    for pair in metadata[:8192].split(","):
        key, _, value = pair.strip().partition(" ")
        try:
            said[key] = base64.b64decode(value).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            continue
    return said.get("path") or said.get("filename") or said.get("name") or ""
