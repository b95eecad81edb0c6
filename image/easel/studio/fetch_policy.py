"""Where page and API may make this server ask, on the words of people who may not even be known."""

from __future__ import annotations

import os
from dataclasses import replace

from easel.models import VISITOR, FetchPolicy

PRIVATE = "EASEL_PRIVATE_SOURCES"
"""The operator's setting: 1 lets page and API ask private addresses, and over plain http."""


def visitors_policy() -> FetchPolicy:
    """Public https addresses, unless the operator's setting says otherwise."""
    open_to_all = os.environ.get(PRIVATE, "").strip().lower() in ("1", "true", "yes")
    return replace(VISITOR, private=True) if open_to_all else VISITOR
