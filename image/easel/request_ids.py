"""A name for each request, by which its lines are found in every log that it came by: `X-Request-Id`."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable

HEADER = "X-Request-Id"
_HEADER = HEADER.lower().encode()
# What goes into logs and back into a header: nothing that a line, a shell or a query would trip over.
_SANE = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The caller's own, where it sent one that is sane; else a new one."""
    sent = [value for name, value in headers if name.lower() == _HEADER]
    return sent[0].decode() if len(sent) == 1 and _SANE.fullmatch(sent[0]) else uuid.uuid4().hex


def with_request_id(headers: Iterable[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    """The headers with this id and no other."""
    return [
        *((name, value) for name, value in headers if name.lower() != _HEADER),
        (_HEADER, request_id.encode()),
    ]
