"""A gateway that is told to end, where others are asked by whoever comes from then on."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from easel.gateway.deployment.kubernetes import KubernetesDeployment
from easel.gateway.errors import GatewayError
from easel.gateway.events import Events
from easel.gateway.home import Home
from easel.gateway.leaving import Leaving
from tests.gateway.conftest import House, until

Build = Callable[..., House]


def test_who_is_there_is_answered(build: Build) -> None:
    """A request that is held for a replica that wakes, and a picture that is drawn, are answered as if it had
    not been told; then it ends, whatever pages still listen."""
    house = build(
        studio={}, slow={"replicas": {"min": 0, "max": 1}, "env": {"EASEL_TEST_SLOW": "3"}},
    )  # fmt: skip
    house.leaves_within = 60.0
    house.start()
    callers = {name: house.caller(name) for name in ("studio", "slow")}
    listener = house.caller("studio")

    def draw(name: str, seconds: float) -> httpx.Response:
        return callers[name].post(f"/sdapi/v1/txt2img?seconds={seconds}", json={})

    with ThreadPoolExecutor() as people, listener.stream("GET", "/studio/events") as listening:
        assert next(listening.iter_lines()) == "data: 0"
        drawn, held = people.submit(draw, "studio", 3.0), people.submit(draw, "slow", 0.0)
        until(lambda: house.endpoint("studio")["running"] == 1 and house.endpoint("slow")["waiting"] == 1)
        assert house.process
        house.process.send_signal(signal.SIGTERM)
        assert [one.result(30).status_code for one in (drawn, held)] == [200, 200]
        began = time.monotonic()
        assert house.process.wait(20) == 0
        assert time.monotonic() - began < 15


@pytest.mark.parametrize(("busy_for", "ends_after"), [(0, 1), (5, 6), (100, 30)])
def test_it_ends_when_nobody_is_left_or_its_time_is_over(busy_for: int, ends_after: int) -> None:
    """A second after the last one was there, and never later than it may."""
    now = 0.0
    leaving = Leaving(30.0, lambda: now < busy_for, lambda: now)
    while not leaving.over():
        now += 0.25
    assert now == pytest.approx(ends_after, abs=0.3)


@pytest.mark.parametrize(("said", "within"), [("960", 960), ("", 85)])
def test_its_pod_says_for_how_long_it_may_stay(tmp_path: Path, said: str, within: float) -> None:
    """As the program gives it, which knows how long requests are held; else what always fits."""
    told = {"POD_NAME": "gateway-1", "EASEL_LEAVES_WITHIN": said}
    deployment = KubernetesDeployment(Home(tmp_path), Events(), "easel-art", environment=told)
    assert deployment.leaves_within == within


def test_seconds_that_are_none_are_refused(tmp_path: Path) -> None:
    """With the variable's name."""
    told = {"POD_NAME": "gateway-1", "EASEL_LEAVES_WITHIN": "2m"}
    with pytest.raises(GatewayError, match="EASEL_LEAVES_WITHIN is '2m': it must be whole seconds"):
        KubernetesDeployment(Home(tmp_path), Events(), "easel-art", environment=told)
