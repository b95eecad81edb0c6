"""What the cluster's autoscaler is told: one number, the same at every gateway."""

from __future__ import annotations

import math
from typing import Any

import pytest

from easel.gateway.replicas import ScaleSignal


@pytest.mark.parametrize(
    ("signal", "value"),
    [
        ({}, 0),
        ({"running": 3, "queued": 2, "held": 1}, 6),
        # Somebody opened the page: one replica, however many come of it.
        ({"asked": True}, 1),
        ({"asked": True, "held": 4}, 4),
        # What was asked for by name: two replicas, whatever they do.
        ({"floor": 2, "concurrency": 8}, 16),
        ({"floor": 1, "concurrency": 8, "running": 20}, 20),
        # Nothing starts before its models are there; what runs, runs on.
        ({"asked": True, "held": 3, "models_missing": True}, 0),
        ({"running": 2, "held": 3, "floor": 2, "models_missing": True}, 2),
    ],
)  # fmt: skip
def test_the_value(signal: dict[str, Any], value: int) -> None:
    """Pictures and waiting requests, and at least as much as keeps what was asked for."""
    found = ScaleSignal(**signal)
    assert found.value == value
    assert found.as_json()["value"] == value


def test_a_floor_is_that_many_replicas() -> None:
    """The autoscaler divides by what one replica takes, and rounds up."""
    for floor in range(1, 5):
        for concurrency in (1, 3, 8):
            value = ScaleSignal(floor=floor, concurrency=concurrency).value
            assert math.ceil(value / concurrency) == floor
