"""Amounts of resources, as Kubernetes writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_UNITS = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9}


def amount(text: str | int | float) -> float:
    """`500m` is 0.5, `2Gi` is 2147483648."""
    written = str(text)
    for unit, factor in _UNITS.items():
        if written.endswith(unit):
            return float(written.removesuffix(unit)) * factor
    return float(written)


def sum_of_requests(spec: Mapping[str, Any]) -> dict[str, float]:
    """What the containers of a pod ask for together; what has only a limit asks for that."""
    total: dict[str, float] = {}
    for container in spec["containers"]:
        resources = container.get("resources") or {}
        for name, value in {**(resources.get("limits") or {}), **(resources.get("requests") or {})}.items():
            total[name] = total.get(name, 0.0) + amount(value)
    return total


def fits(wanted: Mapping[str, float], allocatable: Mapping[str, str]) -> bool:
    """Whether an empty node has room for it."""
    return all(value <= amount(allocatable.get(name, "0")) for name, value in wanted.items())
