"""Which requests of those that pass change what others see: files and models sent, fetched, removed.

Told by method and path at the door, where the caller cannot leave anything out.
"""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import parse_qsl

from easel.gateway.access import ForwardedRequest, normal

_UPLOADS = "/files/uploads"
_DOWNLOADS = "/studio/models/downloads"
_RENAMES = "/studio/models/files/rename"
_STYLES = "/studio/styles/"
_BY_NAME = (_STYLES, "/studio/wildcards/")
_LONGEST = 200


def change(request: ForwardedRequest) -> tuple[str, str] | None:
    """What a request changes, if anything: the kind of line it is in the audit log, and of what."""
    path = normal(request.path)
    if request.method == "DELETE":
        return "deleted", _named(request, path)
    if request.method not in ("POST", "PUT", "PATCH"):
        return None
    if path == _UPLOADS:
        return "uploaded", _told(request.headers.get("upload-metadata", ""))
    if path.startswith(_UPLOADS + "/"):
        return None  # the next piece of an upload that was told of
    if path == _DOWNLOADS:
        return "fetched", request.path
    if request.method in ("PUT", "PATCH") or path.startswith(_STYLES) or path == _RENAMES:
        return "changed", _named(request, path)
    return None


def _named(request: ForwardedRequest, path: str) -> str:
    """The file, or whose style or which wildcards by route and name; else the path itself.

    Of a field that is there twice the last counts, an empty one too, as it does for the studio.
    """
    said = dict(parse_qsl(request.query, keep_blank_values=True))
    if path.startswith(_BY_NAME) and "name" in said:
        return f"{request.path} {said['name'][:_LONGEST]}"
    if request.method == "DELETE" and "path" in said:
        return re.sub("/+", "/", said["path"])
    return request.path


def _told(metadata: str) -> str:
    """Where an upload goes, from tus's `Upload-Metadata`."""
    said: dict[str, str] = {}
    for pair in metadata[:8192].split(","):
        key, _, value = pair.strip().partition(" ")
        try:
            said[key] = base64.b64decode(value).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            continue
    return said.get("filename") or said.get("name") or ""
