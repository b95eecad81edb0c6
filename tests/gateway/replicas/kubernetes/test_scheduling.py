"""Why there is no pod: quota, KEDA, what is missing."""

from __future__ import annotations

from typing import Any

import pytest

from easel.gateway.replicas.kubernetes.scheduling import absent, paused, refused

QUOTA = (
    'pods "studio-art-6d9f8-x2x4z" is forbidden: exceeded quota: team, requested: '
    "requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=4, limited: requests.nvidia.com/gpu=4"
)
BROKEN = "Triggers defined in ScaledObject are not working correctly"
POLICY = 'pods "studio-art-x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'


def deployment(replicas: int = 0, message: str = "") -> dict[str, Any]:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    return {"spec": {"replicas": replicas}, "status": {"conditions": [failure] if message else []}}


def scaled(ready: str = "True", message: str = "", **annotations: str) -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "message": message}
    return {"metadata": {"annotations": annotations}, "status": {"conditions": [condition]}}


@pytest.mark.parametrize(
    ("message", "words", "kind"),
    [(QUOTA, f"the team's quota is used up: {QUOTA}", "quota"),
     (POLICY, f"Kubernetes makes no pod: {POLICY}", "refused")],
)  # fmt: skip
def test_who_may_make_no_pod_says_so(message: str, words: str, kind: str) -> None:
    """The ReplicaSet's own words, as the Deployment repeats them."""
    assert refused(deployment(1, message)) == (words, kind)
    assert refused(deployment(1)) is None
    assert refused(None) is None


@pytest.mark.parametrize(
    ("deployed", "scales", "waited", "failed", "words"),
    [
        (None, scaled(), 0, True, "there is no Deployment studio-art: `pulumi up` makes it"),
        (deployment(), None, 0, True, "there is no ScaledObject studio-art"),
        (deployment(1), scaled(), 0, False, "Kubernetes makes its pod"),
        (deployment(), scaled(), 1, False, "KEDA is told that one is needed"),
        (deployment(), scaled("False", BROKEN), 1, False,
         "KEDA is told that one is needed"),
        (deployment(), scaled("False", BROKEN), 6, True,
         "KEDA cannot scale it: Triggers defined in ScaledObject"),
        (deployment(), scaled(), 45, True, "KEDA has not acted for 45 s: does its operator run"),
    ],
)  # fmt: skip
def test_why_nothing_comes(deployed: Any, scales: Any, waited: float, failed: bool, words: str) -> None:
    """Whoever waits for a first replica learns where it hangs."""
    found = absent("studio-art", deployed, scales, waited)
    assert found[0] is failed
    assert found[1].startswith(words)


def test_asleep_by_hand_is_an_annotation() -> None:
    """KEDA's own, so that it counts for every gateway and after each restart."""
    assert paused(scaled(**{"autoscaling.keda.sh/paused-replicas": "0"}))
    assert not paused(scaled(**{"autoscaling.keda.sh/paused-replicas": "2"}))
    assert not paused(scaled())
    assert not paused(None)
