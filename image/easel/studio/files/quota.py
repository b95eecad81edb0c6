"""The team's quota, as the gateway tells it to the processes that it starts."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

log = structlog.get_logger(__name__)

# Bytes; `infra` writes it into each endpoint's environment (`storage.quota` of the spec).
VARIABLE = "EASEL_QUOTA"


def quota_of(environment: Mapping[str, str]) -> int | None:
    """The quota in bytes, None for none."""
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return None
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return int(text)
    log.warning("quota ignored: it is no number of bytes", variable=VARIABLE, value=text[:40])
    return None
