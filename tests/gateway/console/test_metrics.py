"""What Prometheus is told by a gateway, who may ask, and that asking wakes nobody."""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prometheus_client import parser

from tests.gateway.conftest import House, headers, until

SLEEPER = {"replicas": {"min": 0, "max": 1}}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(
        tmp_path_factory.mktemp("watched"),
        studio={},
        asleep=SLEEPER,
        woken=SLEEPER,
        idle=SLEEPER | {"idle": 2},
        never=SLEEPER | {"env": {"EASEL_TEST_SLOW": "60"}, "timeouts": {"wake": 1}},
    )
    house.start()
    yield house
    assert house.stop() == 0


def scraper(house: House) -> httpx.Client:
    """A Prometheus with a token of the console's."""
    return house.caller("console")


def samples(house: House) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels."""
    with scraper(house) as client:
        answer = client.get("/api/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (one.name, *one.labels.values()): one.value
        for family in parser.text_string_to_metric_families(answer.text)
        for one in family.samples
    }


def test_requests_are_counted_at_the_door(watched: House) -> None:
    """Those that pass by the replica's status, others by the door's; refusals; and bytes both ways."""
    with watched.caller("studio") as caller:
        for _ in range(3):
            assert caller.post("/sdapi/v1/txt2img", content=b"x" * 1000).status_code == 200
    with watched.client("studio", headers={"Authorization": "Bearer easel_wrong"}) as stranger:
        assert stranger.get("/sdapi/v1/options").status_code == 401
    found = until(lambda: counted if (counted := samples(watched)).get(
        ("easel_gateway_requests_total", "studio", "200"), 0) >= 3 else None)  # fmt: skip
    assert found["easel_gateway_door_answers_total", "studio", "401"] >= 1
    assert found["easel_gateway_refusals_total", "studio", "401"] >= 1
    assert found["easel_gateway_relay_bytes_total", "studio", "replica"] > 3000
    assert found["easel_gateway_relay_bytes_total", "studio", "caller"] > 0
    assert found["easel_gateway_requests_open", "studio"] == 0
    assert found["easel_gateway_replicas", "studio", "ready"] == 1
    assert found["easel_gateway_endpoint_state", "studio", "ready"] == 1
    assert found["easel_gateway_endpoint_state", "asleep", "asleep"] == 1


def test_wakes_and_waits_are_counted(watched: House) -> None:
    """Who draws at a sleeping endpoint wakes it and is held; who waits in vain is told apart."""
    with watched.caller("woken") as caller:
        assert caller.post("/sdapi/v1/txt2img").status_code == 200
    with watched.caller("never") as caller:
        assert caller.post("/sdapi/v1/txt2img").status_code == 503
    found = samples(watched)
    assert found["easel_gateway_events_total", "woken", "waking"] == 1
    assert found["easel_gateway_held_seconds_count", "woken", "served"] == 1
    assert found["easel_gateway_held_seconds_sum", "woken", "served"] > 0
    assert found["easel_gateway_held_seconds_count", "never", "not_served"] == 1
    assert found["easel_gateway_requests_held", "never"] == 0


def test_a_scrape_wakes_nobody_and_keeps_nobody_awake(watched: House) -> None:
    """All targets, again and again: what sleeps goes on sleeping, and what is idle falls asleep."""
    with watched.caller("idle") as caller:
        assert caller.post("/sdapi/v1/txt2img").status_code == 200
    seen = set()

    def scraped() -> bool:
        with scraper(watched) as client:
            for target in client.get("/api/metrics/targets").json():
                client.get(target["labels"]["__metrics_path__"])
                seen.add(target["labels"].get("endpoint"))
            for name in ("asleep", "idle"):
                client.get(f"/api/metrics/{name}/1")
        return watched.state("idle") == "asleep"

    assert until(scraped, 20)
    assert {"studio", "idle", None} <= seen
    assert watched.state("asleep") == "asleep"
    assert samples(watched)["easel_gateway_events_total", "asleep", "waking"] == 0


def test_targets_are_as_prometheus_discovers_them(watched: House) -> None:
    """`http_sd_configs` takes the list: the gateway itself, and each replica under its endpoint's name, at
    the address that was asked."""
    with scraper(watched) as client:
        answer = client.get("/api/metrics/targets")
        assert answer.headers["Content-Type"].startswith("application/json")
        targets = answer.json()
        (studio,) = [one for one in targets if one["labels"].get("endpoint") == "studio"]
        assert targets[0]["labels"] == {"__metrics_path__": "/api/metrics"}
        host = watched.url("console").removeprefix("http://")
        assert {address for one in targets for address in one["targets"]} == {host}
        answer = client.get(studio["labels"]["__metrics_path__"])
        said = headers(answer)
    # The replica's words under the console's address: no browser takes them for a page.
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "set-cookie" not in answer.headers
    # The replica was asked in the gateway's own name, and saw nothing of the scraper's.
    part = said["x-easel-assertion"].split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(part + "=="))["sub"] == "@gateway"
    assert "authorization" not in said


@pytest.mark.parametrize("path", ["/api/metrics", "/api/metrics/targets", "/api/metrics/studio/1"])
def test_metrics_are_for_the_operator(watched: House, path: str) -> None:
    """Nobody without a token of the console's, no token of an endpoint's, and no endpoint's address."""
    bearer = {"Authorization": f"Bearer {watched.token('studio')}"}
    for name, sent in (("console", {}), ("console", bearer), ("studio", bearer), ("studio", {})):
        with watched.client(name, headers=sent) as client:
            answer = client.get(path)
        # An endpoint's replica is asked as for any path: it is the studio that has none of that name.
        assert answer.status_code in (401, 403) or (name, sent) == ("studio", bearer)
        assert "easel_gateway" not in answer.text
    assert watched.api("GET", path).status_code in (200, 404)
    with watched.caller("studio") as client:
        assert client.get("/metrics").status_code == 404


def test_unknown_replicas_are_no_fault(watched: House) -> None:
    """404 for an endpoint or a replica that is not there."""
    with scraper(watched) as client:
        assert client.get("/api/metrics/nobody/1").status_code == 404
        assert client.get("/api/metrics/studio/none").status_code == 404


@pytest.mark.parametrize(
    ("sent", "kept"), [("trace-1.a:b_c", True), ("two words", False), ("x" * 200, False), (None, False)]
)
def test_a_request_id_goes_through(watched: House, sent: str | None, kept: bool) -> None:
    """The caller's own where it is sane, else one of the door's: to the replica, and into the door's own
    answers."""
    with watched.caller("studio") as caller:
        seen = headers(caller.get("/echo", headers={"X-Request-Id": sent} if sent else {}))["x-request-id"]
    with watched.client("studio") as stranger:
        refused = stranger.get("/echo", headers={"X-Request-Id": sent} if sent else {})
    assert refused.status_code == 401
    for found in (seen, refused.headers["X-Request-Id"]):
        assert (found == sent) if kept else uuid.UUID(hex=found)


def test_caddys_log_has_it(watched: House) -> None:
    """A line of the door's log is found by the id that the caller knows."""
    with watched.caller("studio") as caller:
        caller.get("/echo", headers={"X-Request-Id": "find-me-7"})
    log = watched.root / "logs" / "caddy.log"
    lines = until(lambda: [one for one in log.read_text().splitlines() if "find-me-7" in one], 10)
    assert json.loads(lines[-1])["request_id"] == "find-me-7"


def test_labels_are_words_of_the_configuration(watched: House) -> None:
    """Endpoints, states, statuses and kinds: no caller's name, no token, no address, no path."""
    with scraper(watched) as client:
        for family in parser.text_string_to_metric_families(client.get("/api/metrics").text):
            assert family.documentation
            for one in family.samples:
                names: dict[str, Any] = one.labels
                assert set(names) <= {"endpoint", "status", "state", "kind", "to", "outcome"}, one
                assert all(re.fullmatch(r"[a-z0-9_-]+", said) for said in names.values()), one
    assert time.time() - samples(watched)["process_start_time_seconds",] < 600


def test_a_token_called_prometheus_reads_metrics_and_nothing_else(watched: House) -> None:
    """It lies on the machine that watches: it opens no endpoint, makes no token, reads no log, puts nothing
    to sleep."""
    bearer = {"Authorization": f"Bearer {watched.new_token('console', 'prometheus-eu')}"}
    with watched.client("console", headers=bearer) as client:
        for path in ("/api/metrics", "/api/metrics/targets"):
            assert client.get(path).status_code == 200
        for path in ("/", "/api/status", "/api/tokens", "/api/audit", "/api/logs/studio/1", "/api/events"):
            assert client.get(path).status_code == 403, path
        made = client.post("/api/tokens", json={"endpoint": "studio", "name": "more"})
        assert made.status_code == 403
        for path in ("/api/endpoints/studio/sleep", "/api/endpoints/studio/pass", "/api/secret/rotation"):
            assert client.post(path, json={}).status_code == 403, path
    with watched.client("studio", headers=bearer) as client:
        assert client.get("/sdapi/v1/options").status_code == 401


@pytest.mark.parametrize("size", [60, 300_000])
def test_a_refusal_comes_whatever_is_sent_along(watched: House, size: int) -> None:
    """What was refused before its body was read was 502 now and then, and with a large body as a rule: the
    gateway ended the connection, and Caddy, still writing, forgot the answer."""
    bearer = {"Authorization": f"Bearer {watched.new_token('console', f'prometheus-{size}')}"}
    with watched.client("console", headers=bearer) as client:
        found = [client.post("/api/tokens", content=b"x" * size).status_code for _ in range(40)]
    assert set(found) == {403}
